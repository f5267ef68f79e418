"""Fleets of real nodes without a coordinator, judged from outside: by bitfields, and by the bytes in their files."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.census import PORT, census, claimed, on_disk
from tests.nodes import Site, wait_for

KIB, MIB = 1 << 10, 1 << 20
NODES = range(74, 82)
SWAPS = 12
ENOUGH = 0.99

log = logging.getLogger(__name__)

USUAL = """
a_guard = "8 s"
[protocol]
epoch = "60 s"
quiet_window = "16 s"
swap_period = "30 s"
holder_age_swap = "1 s"
holder_age_shrink = "1 s"
clock = "trusted"
"""
"""The proportions of the defaults: cycles (12 s) come seldomer than a view grows old, and hardly fit into the quiet
window.
"""


@pytest.mark.timeout(300)
def test_the_usual_proportions_let_go(site: Any, node: Any, wait: Any) -> None:
    """One of three nodes lowers its quota; it lets go of what the others hold, although to prove all that it could let
    go takes longer than a proof holds.
    """
    size, count = 128 * KIB, 128
    site.publish({f"{n:03}.bin": size for n in range(count)}, piece_length=size)
    nodes = [node(number) for number in (71, 72, 73)]
    _start(site, nodes, quota=64 * MIB, interval="12 s", more=USUAL, pace=0.5)
    for one in nodes:
        wait("the items", lambda one=one: one.status()["held_bytes"] == count * size, deadline_s=120)
    small, *others = nodes
    _configure(site, small, hub=small, quota=small.allocated() - 8 * MIB, interval="12 s", more=USUAL, pace=0.5)
    small.hang_up()
    wait("the evictions", lambda: small.status()["held_bytes"] <= (count - 12) * size, deadline_s=130)
    assert [one.status()["held_bytes"] for one in others] == [count * size] * 2


@dataclass(frozen=True, kw_only=True)
class Form:
    """One size of fleet: item sizes in MiB, bytes of a piece; times in seconds."""

    items: tuple[int, ...]
    piece: int
    interval: float
    quiet: float
    epoch: float
    swap: float
    memory: float

    @property
    def quota(self) -> int:
        """Bytes: 30 % of the archive, and 96 MiB for each GiB of it."""
        archive = sum(self.items)
        return archive * MIB * 3 // 10 + archive * 96 * KIB

    def more(self) -> str:
        """The rest of the configuration."""
        return f"""
a_guard = "{self.quiet / 2} s"
a_max = "{2 * self.epoch} s"
t_mem = "{self.memory} s"
t_urg = "{self.memory / 3} s"
[protocol]
epoch = "{self.epoch} s"
quiet_window = "{self.quiet} s"
swap_period = "{self.swap} s"
holder_age_swap = "{self.interval} s"
holder_age_shrink = "{self.interval} s"
clock = "trusted"
"""


SMALL = Form(items=(48, 32, 16, 16, 8, 8), piece=256 * KIB, interval=3, quiet=12, epoch=30, swap=8, memory=24)
LARGE = Form(items=(384, 256, 128, 128, 64, 64), piece=MIB, interval=5, quiet=16, epoch=48, swap=16, memory=48)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SMALL, id="128 MiB", marks=pytest.mark.timeout(400)),
        pytest.param(LARGE, id="1 GiB", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
    ],
)
def test_a_fleet_keeps_every_piece(site: Any, node: Any, form: Form) -> None:
    """Eight nodes with a bit more than a third of the archive each, the origin gone: every piece has a copy and nearly
    all have two; so again without a node that was killed; all quotas cut at once destroy no last copy.
    """
    nodes = [node(number) for number in NODES]
    site.publish({f"{n}.bin": size * MIB for n, size in enumerate(form.items)}, piece_length=form.piece)
    began = time.monotonic()
    _start(site, nodes, quota=form.quota, interval=f"{form.interval} s", more=form.more(), pace=0.25)
    _fill(site, nodes, calm_s=3 * form.interval)
    log.info("full: %s, %.0f s", claimed(site, nodes), time.monotonic() - began)
    site.origin.stop()
    _expect(site, nodes, "without the origin", began, deadline_s=SWAPS * form.swap)

    nodes.pop().kill()
    died = time.monotonic()
    log.info("killed: %s", claimed(site, nodes))
    _expect(site, nodes, "without a node", died, deadline_s=form.memory + SWAPS * form.swap, not_before=form.memory)

    before, held = [one.allocated() for one in nodes], claimed(site, nodes)
    for one in nodes:
        less = form.quota * 6 // 10
        _configure(site, one, hub=nodes[0], quota=less, interval=f"{form.interval} s", more=form.more(), pace=0.25)
        one.hang_up()
    cut = time.monotonic()
    _watch(site, nodes, for_s=2 * form.epoch + form.quiet)
    after = census(site, nodes)
    log.info("cut: %s, %d false, %.0f s", after, after.false, time.monotonic() - cut)
    evictions = [
        d
        for one in nodes
        for d in one.ask("/api/v1/decisions")["decisions"]
        if d["rule"] == "over_quota" and d["outcome"] == "done"
    ]
    log.info(
        "%d evictions, %d of %d MiB given back",
        len(evictions),
        sum(before) - sum(one.allocated() for one in nodes) >> 20,
        sum(before) >> 20,
    )
    assert after.least >= 1
    assert after.false == 0
    assert evictions
    assert after.copies.sum() < held.copies.sum(), "what went is gone from the bitfields too"


def _fill(site: Site, nodes: list[Any], *, calm_s: float) -> None:
    """Wait until every piece is on some node and nobody fetches any more."""
    held, since = [0], time.monotonic()

    def calm() -> bool:
        nonlocal held, since
        now = [one.status()["held_bytes"] for one in nodes]
        if now != held or any(one.status()["in_flight_bytes"] for one in nodes):
            held, since = now, time.monotonic()
        return time.monotonic() - since > calm_s and claimed(site, nodes).least > 0

    wait_for("the fleet to be full", calm, deadline_s=240, pause_s=0.5)


def _watch(site: Site, nodes: list[Any], *, for_s: float) -> None:
    """See at every moment of the next seconds that somebody has each piece. A node that gives back blocks of an item
    does not claim the rest of it for that moment, so where nobody claims a piece the files are read.
    """
    until = time.monotonic() + for_s

    def over() -> bool:
        seen = claimed(site, nodes)
        if not seen.least:
            there = on_disk(site, nodes)
            log.info("unclaimed for a moment: %s; on the disks: %s", seen, there)
            assert there.least >= 1
        return time.monotonic() >= until

    wait_for("the end of the watch", over, deadline_s=2 * for_s, pause_s=0.5)


def _expect(
    site: Site, nodes: list[Any], what: str, since: float, *, deadline_s: float, not_before: float = 0.0
) -> None:
    """Wait until every piece has a copy and nearly all have two, by claims, *not_before* seconds after *since*; then
    read the files.
    """

    def spread() -> bool:
        seen = claimed(site, nodes)
        log.debug("%s: %s, least %d, twice %.4f, %.0f s", what, seen, seen.least, seen.twice, time.monotonic() - since)
        return seen.least >= 1 and seen.twice >= ENOUGH and time.monotonic() - since >= not_before

    wait_for(f"two copies {what}", spread, deadline_s=deadline_s, pause_s=1)
    found = census(site, nodes)
    log.info("%s: %s, %d false, %.0f s", what, found, found.false, time.monotonic() - since)
    assert found.false == 0
    assert found.least >= 1
    assert found.twice >= ENOUGH


def _configure(site: Site, one: Any, *, hub: Any, **more: Any) -> None:
    """Write the configuration of a node that meets the others in the DHT of *hub*."""
    address = f"{hub.host}:{PORT}"
    one.configure(catalogue=site.catalogue, dht=(address,), listen=[f"{one.host}:{PORT}"], **more)


def _start(site: Site, nodes: list[Any], **more: Any) -> None:
    """Start all *nodes* side by side; they meet in the DHT of the first."""
    for one in nodes:
        _configure(site, one, hub=nodes[0], **more)
        one.process.start()
    for one in nodes:
        wait_for("the node's API", one.status, deadline_s=90)
