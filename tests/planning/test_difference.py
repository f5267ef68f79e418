"""The difference starts a paced prefix, keeps promises, and leaves alone what the plan does not know."""

from typing import Any

from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.plan import Plan
from smartnode.planning.difference import difference, pace_of, targets
from smartnode.planning.policy import Policy

LAYOUT = Layout(total_size=Bytes(3200), piece_length=Bytes(10))


def test_paced_prefix(world: Any) -> None:
    """A cycle starts the first segments of the order, pace * quota at most, one at least, none beyond the disk."""
    room = world.room(3200)
    plan: Plan = world.plan([world.candidate(1)], room)
    assert plan.fetch[0].because.text.startswith("not seen lately: the swarm was never looked at")
    layouts = {world.info_hash(1): LAYOUT}
    for pace, count in ((0.1, 3), (0.001, 1), (1.0, 32)):
        change = difference(plan, holdings={}, room=room, policy=Policy(pace=pace), layouts=layouts)
        assert change.started == plan.order[:count]
        pieces = [each.pieces for each in plan.order[:count]]
        assert change.wanted == {world.info_hash(1): Bitfield.from_ranges(pieces, 320)}
    tight = world.room(3200, disk_free=250, keep_free=40)
    assert len(difference(plan, holdings={}, room=tight, policy=Policy(pace=1.0), layouts=layouts).started) == 2
    full = world.room(3200, disk_free=0)
    assert difference(plan, holdings={}, room=full, policy=Policy(), layouts=layouts).is_empty
    assert targets(plan, Policy(), full) == ()
    assert targets(plan, Policy(), room) == (world.info_hash(1),)


def test_what_is_on_its_way_counts_against_the_pace() -> None:
    """A cycle starts the pace less what is in flight, and a 32nd of the pace at least."""
    policy = Policy(pace=0.1)
    assert [pace_of(policy, quota=8000, in_flight=each) for each in (0, 300, 700, 790, 9000)] == [800, 500, 100, 25, 25]


def test_what_does_not_fit_the_disk_is_passed_over(world: Any) -> None:
    """A segment too large for the disk's room does not block the smaller ones behind it."""
    candidates = [world.candidate(1, 32000, 1000), world.candidate(2)]
    plan: Plan = world.plan(candidates, world.room(35200))
    room = world.room(35200, disk_free=500)
    layouts = {world.info_hash(n): candidates[n - 1].layout for n in (1, 2)}
    change = difference(plan, holdings={}, room=room, policy=Policy(pace=1.0), layouts=layouts)
    assert [each.info_hash for each in change.started] == [world.info_hash(2)] * 5


def test_unknown_layouts_are_not_started(world: Any) -> None:
    """A torrent whose layout is not known, or is not the planned one, is not started; the next one is."""
    candidates = [world.candidate(1), world.candidate(2)]
    room = world.room(6400)
    plan: Plan = world.plan(candidates, room)
    other = Layout(total_size=Bytes(3200), piece_length=Bytes(9))
    short = Layout(total_size=Bytes(32), piece_length=Bytes(10))
    for first in ({}, {world.info_hash(1): other}, {world.info_hash(1): short}):
        layouts = {**first, world.info_hash(2): LAYOUT}
        change = difference(plan, holdings={}, room=room, policy=Policy(pace=1.0), layouts=layouts)
        assert set(change.wanted) == {world.info_hash(2)}
        assert len(change.started) == 32


def test_torrents_the_plan_does_not_know(world: Any) -> None:
    """A torrent added after the plan was made keeps its promises."""
    room = world.room(6400)
    plan: Plan = world.plan([], room)
    holdings = {world.info_hash(7): world.holding(7, LAYOUT, Bitfield.empty(320), Bitfield.full(320))}
    assert difference(plan, holdings=holdings, room=room, policy=Policy(), layouts={}).is_empty


def test_a_started_segment_joins_what_is_there(world: Any) -> None:
    """Stray pieces make their segment cheaper, and stay in the new wanted set."""
    stray = Bitfield.from_indices([0, 1, 2], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, stray)}
    room = world.room(100, holdings)
    plan: Plan = world.plan([world.candidate(1)], room, holdings=holdings)
    assert [(each.number, each.bytes) for each in plan.order] == [(0, 70)]
    change = difference(plan, holdings=holdings, room=room, policy=Policy(), layouts={})
    assert change.wanted == {world.info_hash(1): Bitfield.from_indices(range(10), 320)}
