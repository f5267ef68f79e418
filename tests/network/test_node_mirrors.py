"""A whole node before web seeds that behave in every known way: each ends in its state, in bounded requests, and no
wrong byte is held.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from smartnode.engine.mirrors import CUTS_AT_MOST
from tests.network.conftest import need, run
from tests.nodes import COLLECTION, MIB, RunningNode, Site, wait_for

HOST, CROWDED, NOBODY, PORT = "127.0.102.1", "127.0.103.1", "127.0.104.1", 8090
PIECES = 4
CYCLE_S = 5
SLOWEST_LOOK_S = 60

# behaviour: the state it ends in and how its reason begins; whether the item is fetched whole.
AT_ONCE: dict[str, tuple[str, str, bool]] = {
    "ok": ("live", "", True),
    "301": ("live", "", True),
    "302-chain": ("live", "", True),
    "loop": ("refused", "it redirects in a circle", False),
    "no-range": ("refused", "it sends the whole file when asked for a range", False),
    "html": ("refused", "it answers with a web page", False),
    "gzip": ("refused", "it encodes the bytes as 'gzip'", False),
    "403": ("refused", "it answers 403", False),
    "404": ("gone", "it answers 404", False),
    "410": ("gone", "it answers 410", False),
    "500": ("waiting", "it answers 500", False),
    "503": ("waiting", "it answers 503", False),
    "truncated": ("waiting", "the connection broke", False),
    "stall": ("waiting", "it stalls", False),
    "reset": ("waiting", "the connection broke", False),
    "wrong-byte": ("banned", "piece", False),
    "refused": ("waiting", "it cannot be reached", False),
}
CROWDS: dict[str, tuple[str, str, bool]] = {
    "429-seconds": ("waiting", "it answers 429", False),
    "429-date": ("waiting", "it answers 429", False),
}
# Well-behaved while it is looked at, then no more: these reach libtorrent. What it makes of an answer decides.
LATE: dict[str, set[str]] = {
    "late-404": {"gone"},
    "late-403": {"refused"},
    "late-503": {"waiting"},
    "late-no-range": {"refused", "live"},  # the whole file, where libtorrent asked for just that
    "late-gzip": {"refused", "waiting", "banned"},
    "late-truncated": {"waiting"},
    "late-reset": {"waiting"},
    "late-wrong-byte": {"banned"},
}


def url_of(behaviour: str, name: str) -> str:
    """The web seed that behaves so."""
    if behaviour == "refused":
        return f"http://{NOBODY}:{PORT}/ok/{name}"
    return f"http://{CROWDED if behaviour in CROWDS else HOST}:{PORT}/{behaviour}/{name}"


class Servers:
    """Two misbehaving servers (one is asked too much) and what they were asked."""

    def __init__(self, processes: Any, root: Path, folder: Path) -> None:
        """Serve *root*."""
        self._logs = [folder / f"requests-{host}" for host in (HOST, CROWDED)]
        script = str(Path(__file__).with_name("mirror_server.py"))
        for host, log in zip((HOST, CROWDED), self._logs, strict=True):
            processes.start(sys.executable, script, str(root), host, str(PORT), str(log))
            wait_for("the server", lambda h=host: f"{h}:{PORT}" in run(need("ss"), "-lnt"), deadline_s=20)

    def counted(self) -> Counter[str]:
        """Requests by behaviour."""
        lines = [line for log in self._logs if log.exists() for line in log.read_text().splitlines()]
        return Counter(json.loads(line)["path"].split("/")[1] for line in lines)


@pytest.fixture
def run_node(site: Site, processes: Any, tmp_path: Path, started: Any) -> Any:
    """Publishes an item per behaviour, each with one web seed, and starts a node."""

    def make(behaviours: list[str]) -> tuple[RunningNode, Servers]:
        names = {f"{b}.bin": b for b in behaviours}
        site.publish(
            dict.fromkeys(names, PIECES * MIB),
            piece_length=MIB,
            mirrors={name: [url_of(b, name)] for name, b in names.items()},
        )
        servers = Servers(processes, site.folder, tmp_path)
        node = RunningNode(tmp_path / "node", host="127.0.32.1", api_port=18_732)
        node.configure(catalogue=site.catalogue, quota=1024 * MIB, interval=f"{CYCLE_S} s", pace=1.0)
        return started(node), servers

    return make


def outcome(node: RunningNode, behaviour: str) -> tuple[str, str]:
    """State and reason of the one web seed of an item."""
    body = node.ask(f"/api/v1/items/{COLLECTION}/{behaviour}.bin") or {}
    (mirror,) = body.get("mirrors") or [{"state": "unknown", "reason": ""}]
    return mirror["state"], mirror["reason"]


def wrong_bytes(node: RunningNode, site: Site, behaviour: str) -> list[int]:
    """Held pieces whose bytes on the disk are not the publisher's."""
    name = f"{behaviour}.bin"
    (found,) = [*(node.folder / "data").rglob(name)] or [None]
    if found is None:
        return []
    mine, theirs = found.read_bytes(), site.files[name].read_bytes()
    cut = [slice(n * MIB, (n + 1) * MIB) for n in range(PIECES)]
    return [n for n in node.held(name) if mine[cut[n]] != theirs[cut[n]]]


@pytest.mark.timeout(240)
def test_each_behaviour_ends_in_its_state_within_bounded_requests(site: Site, run_node: Any) -> None:
    """The table: state and one line for each web seed; who serves is fetched from, who does not is asked a bounded
    number of times; nothing wrong is held.
    """
    table = AT_ONCE | CROWDS
    node, servers = run_node(list(table))

    def ended() -> bool:
        return all(
            outcome(node, b)[0] == state and outcome(node, b)[1].startswith(reason)
            for b, (state, reason, _) in table.items()
        )

    try:
        wait_for("every outcome", ended, deadline_s=SLOWEST_LOOK_S + 60, pause_s=0.5)
    finally:
        asked = servers.counted()
        for b in table:
            state, reason = outcome(node, b)
            print(f"{b:12} {state:8} {asked[b]:3} requests  {reason}")  # noqa: T201 -- the table itself
    whole = {b for b, (*_, fetched) in table.items() if fetched}
    wait_for("what can be fetched", lambda: all(len(node.held(f"{b}.bin")) == PIECES for b in whole), deadline_s=60)
    assert {b for b in table if node.held(f"{b}.bin")} == whole
    assert {b: wrong for b in table if (wrong := wrong_bytes(node, site, b))} == {}
    asked, cycles = servers.counted(), node.status()["cycle"]
    for b, (state, _, _) in table.items():
        looks = 1 if state in {"gone", "refused", "banned"} else 2 * cycles + 4
        assert asked[b] <= 7 * looks, (b, asked[b], cycles)


@pytest.mark.timeout(240)
def test_who_behaves_only_while_looked_at_is_found_out(site: Site, run_node: Any) -> None:
    """Web seeds that turn bad under libtorrent's own requests end in the right state, are not asked in a loop, and
    leave no wrong byte.
    """
    node, servers = run_node(list(LATE))

    def ended() -> bool:
        return all(outcome(node, b)[0] in states for b, states in LATE.items())

    try:
        wait_for("every outcome", ended, deadline_s=150, pause_s=0.5)
    finally:
        asked = servers.counted()
        for b in LATE:
            state, reason = outcome(node, b)
            print(f"{b:16} {state:8} {asked[b]:3} requests  {reason}")  # noqa: T201 -- the table itself
    assert {b: wrong for b in LATE if (wrong := wrong_bytes(node, site, b))} == {}
    cycles = node.status()["cycle"]
    for b in LATE:
        assert asked[b] <= max(8 * (cycles + 4), CUTS_AT_MOST + 8), (b, asked[b], cycles)
