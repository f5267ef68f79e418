"""Real nodes let go of what the others are proved to hold, and of nothing else; checked from outside."""

import sqlite3
import zlib
from contextlib import closing
from typing import Any

import numpy as np
import pytest

MIB = 1 << 20
PIECES = 32
MORE = """
a_guard = "8 s"
[protocol]
epoch = "36 s"
quiet_window = "16 s"
holder_age_swap = "1 s"
holder_age_shrink = "1 s"
clock = "trusted"
"""


def fleet(site: Any, node: Any, wait: Any, *, count: int, first: int) -> list[Any]:
    """Nodes that all hold the one item whole, and see each other."""
    site.publish({"a.bin": PIECES * MIB}, piece_length=MIB)
    nodes: list[Any] = []
    for number in range(count):
        one = node(first + number)
        dht = () if not nodes else ((f"{nodes[0].host}:{nodes[0].status()['listen_port']}"),)
        one.configure(catalogue=site.catalogue, quota=64 * MIB, interval="3 s", dht=dht, more=MORE)
        one.start()
        nodes.append(one)
    for one in nodes:
        wait("the item", lambda one=one: len(one.held("a.bin")) == PIECES)
    return nodes


def copies(nodes: list[Any]) -> list[int]:
    """Copies of each piece, by what the nodes say that they hold."""
    held = [one.held("a.bin") for one in nodes]
    return [sum(piece in each for each in held) for piece in range(PIECES)]


def evictions(one: Any) -> list[Any]:
    """What a node let go, by its ledger."""
    decisions = one.ask("/api/v1/decisions")["decisions"]
    return [each for each in decisions if (each["action"], each["outcome"]) == ("evict", "done")]


def ages(one: Any) -> tuple[float, int]:
    """When the first holder in the ledger of a node was seen last, and the oldest age of it began; 0, 0 without one."""
    with closing(sqlite3.connect(f"{(one.folder / 'state' / 'ledger.sqlite').as_uri()}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT at, since FROM tenures").fetchall()
    if not rows:
        return 0.0, 0
    since = np.frombuffer(zlib.decompress(rows[0][1]), "<i8")
    return rows[0][0], int(since[since > 0].min())


@pytest.mark.timeout(300)
def test_a_lowered_quota_is_met_with_proof(site: Any, node: Any, wait: Any, fetch: Any, tmp_path: Any) -> None:
    """One of three nodes lowers its quota: it lets segments go, each one that another was proved to hold; the blocks
    are given back, and a stranger fetches every byte from the other two.
    """
    nodes = fleet(site, node, wait, count=3, first=65)
    small = nodes[0]
    small.configure(catalogue=site.catalogue, quota=24 * MIB, interval="3 s", dht=(), more=MORE)
    small.hang_up()
    done = wait("the first evictions", lambda: evictions(small), deadline_s=200)
    assert all(d["because"].startswith("over quota, letting go") for d in done)
    assert min(copies(nodes)) >= 2
    left = len(small.held("a.bin"))
    wait("the blocks", lambda: small.allocated() < (left + 8) * MIB)
    other = nodes[1]
    address = (other.host, other.status()["listen_port"])
    everything = set(range(PIECES))
    fetched = fetch(address, site.torrents["a.bin"], everything, folder=tmp_path / "leech")
    assert (fetched.pieces, fetched.hash_failures) == (everything, 0)


@pytest.mark.timeout(120)
def test_the_sole_holder_keeps_everything(site: Any, node: Any, wait: Any) -> None:
    """A node that nobody else backs stays over its quota, and says why."""
    (one,) = fleet(site, node, wait, count=1, first=69)
    one.configure(catalogue=site.catalogue, quota=16 * MIB, interval="2 s", dht=(), more=MORE)
    one.hang_up()
    wait("the state", lambda: one.status()["state"] == "over_quota")
    before = one.status()["cycle"]
    wait("an epoch and more", lambda: one.status()["cycle"] > before + 16, deadline_s=100)
    assert len(one.held("a.bin")) == PIECES
    entry = one.ask("/api/v1/items/a.bin")["plan"]["evict"][0]
    assert not entry["permitted"]
    assert "was not checked" not in entry["because"]["text"], "readers are told what the guard was told"


@pytest.mark.timeout(120)
def test_ages_of_holders_outlive_a_restart(site: Any, node: Any, wait: Any) -> None:
    """A holder that was seen before the node stopped is as old afterwards as if it had not: seen again, since then."""
    one, _ = fleet(site, node, wait, count=2, first=61)
    seen, since = wait("a look at the whole", lambda: ages(one) if ages(one)[1] else None)
    assert one.stop()
    one.start()
    again, still = wait("the next look", lambda: ages(one) if ages(one)[0] > seen + 3 else None)
    assert again > seen
    assert still == since
