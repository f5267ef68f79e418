"""Real catalogue numbers and fleets of a few nodes: free quota is used, well covered things are left."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, node_id
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.quota import Room
from smartnode.planning.policy import Candidate

GB = 10**9
ITEMS = json.loads((Path(__file__).parents[1] / "data" / "items.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def archive() -> list[Candidate]:
    """The nine items with a torrent, cut into the 16 MiB pieces of their .torrent files."""
    found = []
    for row in ITEMS:
        values = row["properties"]
        if "torrent:info_hash" not in values:
            continue
        torrent = Torrent(
            info_hash=InfoHash(values["torrent:info_hash"]),
            info_hash_v1=values["torrent:info_hash"],
            info_hash_v2=None,
            size=Bytes(values["torrent:size"]),
            piece_length=Bytes(16 << 20),
            name=None,
            metainfo_url=None,
        )
        item = Item(
            key=ItemKey(collection=row["collection"], id=row["id"]),
            torrent=torrent,
            priority=values["torrent:priority"],
            target_replicas=values["torrent:target_replicas"],
        )
        found.append(Candidate(item=item, layout=torrent.layout))
    return found


def _room(quota: int, free: int = 1000 * GB) -> Room:
    return Room(
        quota=Bytes(quota),
        allocated=Bytes(0),
        overhead=Bytes(0),
        in_flight=Bytes(0),
        disk_free=Bytes(free),
        keep_free=Bytes(0),
    )


@pytest.mark.parametrize("quota", [1 * GB, 5 * GB, 50 * GB, 99 * GB])
def test_a_quota_is_filled(world: Any, archive: list[Candidate], quota: int) -> None:
    """A fresh node that has seen no swarm uses at least 80 % of its quota, never more, and takes items in part."""
    plan: Plan = world.plan(archive, _room(quota))
    assert len(archive) == 9
    assert 0.8 * quota <= sum(entry.bytes for entry in plan.fetch) <= quota
    assert any(entry.bytes < entry.item_bytes for entry in plan.fetch)
    assert {entry.because.rule for entry in plan.fetch} == {Rule.NEVER_SEEN}


def test_the_whole_archive(world: Any, archive: list[Candidate]) -> None:
    """A node with more quota than the archive takes every byte of it once; a small disk is said, the target whole."""
    plan: Plan = world.plan(archive, _room(500 * GB, free=60 * GB))
    sizes = {entry.item: entry.item_bytes for entry in plan.fetch}
    assert sum(entry.bytes for entry in plan.fetch) == sum(sizes.values()) == 100_569_228_695
    assert plan.declined == ()
    assert plan.degraded == (
        "disk: 40569228695 bytes are missing for the whole target; free them, or lower quota or keep_free",
    )


@pytest.mark.parametrize("mirrors", [None, 0, 1, 2])
@pytest.mark.parametrize("others", [1, 5, 20])
def test_the_next_node_takes_everything_too(
    world: Any, archive: list[Candidate], others: int, mirrors: int | None
) -> None:
    """Where all is equally covered free quota is used, with and without the credit of live mirrors."""
    views = {
        c.item.torrent.info_hash: replace(
            world.seeds(n, c.layout, others, mirrors=mirrors), info_hash=c.item.torrent.info_hash
        )
        for n, c in enumerate(archive)
        if c.item.torrent is not None
    }
    plan: Plan = world.plan(archive, _room(500 * GB), views=views)
    assert sum(entry.bytes for entry in plan.fetch) == 100_569_228_695
    small: Plan = world.plan(archive, _room(5 * GB), views=views)
    assert sum(entry.bytes for entry in small.fetch) >= 4 * GB
    assert plan.capacity == others * 100_569_228_695
    assert plan.level == pytest.approx(others + min(1, 0.5 * (mirrors or 0)))


def test_uncovered_is_always_wanted(world: Any) -> None:
    """In an archive without copies a valuable item draws the level below ordinary ones; these stay candidates."""
    candidates = [world.candidate(1, priority=3, target_replicas=9), world.candidate(2, priority=-8, target_replicas=1)]
    views = {world.info_hash(each): world.view(each) for each in (1, 2)}
    plan: Plan = world.plan(candidates, world.room(6400), views=views)
    assert plan.level is not None
    assert plan.level < 0
    assert sum(entry.bytes for entry in plan.fetch) == 6400


def test_value_and_target_draw_copies(world: Any) -> None:
    """With room for one item, the more valuable one, and the one with the higher target, gets it first."""
    for more in ({"priority": 4}, {"target_replicas": 9}):
        candidates = [world.candidate(1, target_replicas=more.get("target_replicas") and 5), world.candidate(2, **more)]
        views = {world.info_hash(n): world.seeds(n, candidates[n - 1].layout, 2) for n in (1, 2)}
        plan: Plan = world.plan(candidates, world.room(3200), views=views)
        share = {entry.item.id: entry.bytes for entry in plan.fetch}
        assert share.get("item002", 0) > 2 * share.get("item001", 0), more


def test_enough_copies_is_declined(world: Any) -> None:
    """What stands a whole copy above the level is not fetched though room is left, and the plan says so."""
    candidates = [world.candidate(1), world.candidate(2), world.candidate(3)]
    views = {world.info_hash(n): world.seeds(n, candidates[0].layout, copies) for n, copies in ((1, 9), (2, 1), (3, 1))}
    plan: Plan = world.plan(candidates, world.room(6400), views=views)
    assert {entry.item.id for entry in plan.fetch} == {"item002", "item003"}
    (declined,) = plan.declined
    assert (declined.item.id, declined.because.rule, declined.bytes) == ("item001", Rule.ENOUGH_COPIES, 3200)
    assert declined.because.text.startswith("enough copies: 9 other copies seen 0 min ago by wire_probe")


def test_known_at_risk_before_never_seen(world: Any) -> None:
    """Known at risk, then never seen, then what room is left for; a stale view ranks as never
    seen, with the copies that it remembers.
    """
    candidates = [world.candidate(n) for n in (1, 2, 3)]
    layout = candidates[0].layout
    views = {
        world.info_hash(1): world.view(1),
        world.info_hash(2): world.seeds(2, layout, 1, age=timedelta(hours=7)),
        world.info_hash(3): world.seeds(3, layout, 1),
    }
    plan: Plan = world.plan(candidates, world.room(9600 - 100), views=views)
    rules = [entry.because.rule for entry in plan.fetch if entry.item.id == "item002"]
    assert rules == [Rule.NEVER_SEEN]
    classes = [each.info_hash for each in plan.order]
    assert classes[:32] == [world.info_hash(1)] * 32
    assert {entry.because.rule for entry in plan.fetch} >= {Rule.AT_RISK, Rule.NEVER_SEEN}
    assert plan.capacity == 3200 * 9600 // 6400  # one copy on what was seen lately, two thirds of the archive
    stale = next(entry for entry in plan.fetch if entry.item.id == "item002").because
    assert (stale.evidence["copies_seen"], stale.evidence["copies_remembered"]) == (None, 1)
    assert "420 min ago, is too old to count" in stale.text


def test_spare_room_goes_by_coverage(world: Any) -> None:
    """What room is left for after all that is at risk goes to what is covered least."""
    candidates = [world.candidate(n, size) for n, size in ((1, 3200), (2, 3200), (3, 64000))]
    layouts = [each.layout for each in candidates]
    views = {world.info_hash(n): world.seeds(n, layouts[n - 1], copies) for n, copies in ((1, 3), (2, 1), (3, 4))}
    held = {world.info_hash(3): world.holding(3, layouts[2], Bitfield.full(6400))}
    plan: Plan = world.plan(candidates, world.room(64000 + 200, held), views=views, holdings=held)
    assert {entry.item.id for entry in plan.fetch} == {"item002"}
    more: Plan = world.plan(candidates, world.room(64000 + 3300, held), views=views, holdings=held)
    assert [each.info_hash for each in more.order] == [world.info_hash(2)] * 32 + [world.info_hash(1)]
    assert {entry.because.rule for entry in more.fetch} == {Rule.AT_RISK, Rule.SPARE_ROOM}


def test_nodes_draw_differently(world: Any) -> None:
    """Two nodes that decide at the same moment over the same archive do not take the same segments."""
    candidates = [world.candidate(n) for n in range(20)]
    other = node_id(NODE_ID_PREFIX + b"mnopqrstuvwx")
    plans = [world.plan(candidates, world.room(6400), node_id=each) for each in (world.node, other)]
    first, second = ({(each.info_hash, each.number) for each in plan.order} for plan in plans)
    assert 0 < len(first & second) < 0.3 * len(first)


def test_growth_looks_ahead(world: Any) -> None:
    """The fetch level follows the swarm's growth when that is larger than the own budget."""
    candidates = [world.candidate(1)]
    still: Plan = world.plan(candidates, world.room(320))
    grown: Plan = world.plan(candidates, world.room(320), growth=Bytes(32000))
    assert still.fetch_level == pytest.approx(0.1)
    assert grown.fetch_level == pytest.approx(3.0)


def test_own_room_belongs_to_the_gate(world: Any) -> None:
    """With room for everything the plan shows everything at once, also where values move the level below some of it."""
    candidates = [world.candidate(1, priority=1), world.candidate(2)]
    views = {world.info_hash(n): world.seeds(n, candidates[0].layout, 5) for n in (1, 2)}
    plan: Plan = world.plan(candidates, world.room(6400), views=views)
    assert plan.level is not None
    assert plan.level < 5
    assert sum(entry.bytes for entry in plan.fetch) == 6400


def test_a_mirror_is_no_first_copy(world: Any) -> None:
    """Live mirrors count from the first copy on: before it the coverage is 0, while the fill has their credit."""
    views = {world.info_hash(1): world.view(1, mirrors=1)}
    plan: Plan = world.plan([world.candidate(1)], world.room(320), views=views)
    assert plan.fetch[0].because.evidence["u"] == 0.0
    assert plan.level == 0.5


def test_missing_disk_counts_floor_and_promises(world: Any) -> None:
    """The disk's room is what is free above keep_free once all that is in flight was written."""
    layout = world.candidate(2).layout
    held = {world.info_hash(2): world.holding(2, layout, Bitfield.empty(320), Bitfield.full(320))}
    room = world.room(6400, held, disk_free=5000, keep_free=1000)
    plan: Plan = world.plan([world.candidate(1), world.candidate(2)], room, holdings=held)
    (line,) = plan.degraded
    assert line.startswith("disk: 2400 bytes are missing")
    enough = world.room(6400, held, disk_free=7400, keep_free=1000)
    assert world.plan([world.candidate(1), world.candidate(2)], enough, holdings=held).degraded == ()


def test_little_room_goes_to_what_was_seen(world: Any) -> None:
    """However little room is left, what was seen lately to be at risk comes before what was never seen: a node that is
    nearly full does not spend its looks on swarms that turn out to be full.
    """
    candidates = [world.candidate(n) for n in range(6)]
    views = {world.info_hash(0): world.seeds(0, candidates[0].layout, 1)}
    plan: Plan = world.plan(candidates, world.room(200), views=views)
    assert [each.info_hash for each in plan.order] == [world.info_hash(0)] * 2
    assert {entry.because.rule for entry in plan.fetch} == {Rule.AT_RISK}
