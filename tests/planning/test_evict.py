"""What leaves, in which order, and what the guard says when it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange
from smartnode.domain.plan import Plan, Rule
from smartnode.planning.difference import Difference, difference
from smartnode.planning.guard import Evidence, holders_required, refusal
from smartnode.planning.policy import Policy

LAYOUT = Layout(total_size=Bytes(3200), piece_length=Bytes(10))
FULL = Bitfield.full(320)


def _difference(plan: Plan, holdings: dict[InfoHash, Holding], room: Any) -> Difference:
    return difference(plan, holdings=holdings, room=room, policy=Policy(), layouts={})


def test_well_covered_goes_first_unknown_last(world: Any) -> None:
    """Below keep_free: known and covered most first, then rarer, unknown last, just until the deficit is covered."""
    holdings = {world.info_hash(n): world.holding(n, LAYOUT, FULL) for n in (1, 2, 3)}
    candidates = [world.candidate(n) for n in (1, 2, 3)]
    views = {world.info_hash(2): world.seeds(2, LAYOUT, 1), world.info_hash(3): world.seeds(3, LAYOUT, 4)}
    room = world.room(9600, holdings, disk_free=0, keep_free=6400 + 101)
    plan: Plan = world.plan(candidates, room, views=views, holdings=holdings)
    order = [each.info_hash for each in plan.evictions]
    assert order == [world.info_hash(3)] * 32 + [world.info_hash(2)] * 32 + [world.info_hash(1)] * 2
    texts = [entry.because.text for entry in plan.evict]
    assert all(
        text.startswith("FORCED OUT to protect the host: the disk is 6501 bytes below keep_free") for text in texts
    )
    assert plan.evict[0].because.evidence["copies_seen"] == 4
    assert plan.evict[2].because.evidence["copies_seen"] is None
    change = _difference(plan, holdings, room)
    assert change.evict[world.info_hash(3)] == FULL
    assert change.wanted[world.info_hash(3)] == Bitfield.empty(320)
    assert change.evict[world.info_hash(1)].count() == 20
    assert change.started == ()


def test_ties_go_by_rank_and_fragments_first(world: Any) -> None:
    """Of equally covered segments an unfinished one goes first, then the lowest fetch rank."""
    have = FULL - Bitfield.from_indices([5], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, have)}
    room = world.room(3200, holdings, disk_free=0, keep_free=250)
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 1)}
    plan: Plan = world.plan([world.candidate(1)], room, views=views, holdings=holdings)
    assert plan.evictions[0].pieces == PieceRange(first=0, last=9)
    assert [each.bytes for each in plan.evictions] == [90, 100, 100]
    fetched: Plan = world.plan([world.candidate(1)], world.room(3200), views={world.info_hash(1): world.view(1)})
    last = [each.number for each in fetched.order if each.number != 0]
    assert [each.number for each in plan.evictions[1:]] == last[:-3:-1]


def test_progress_elsewhere_is_no_copy_yet(world: Any) -> None:
    """A segment that others only download is worth more than one that another has."""
    part = Bitfield.from_ranges([PieceRange(first=0, last=4)], 320) | Bitfield.from_ranges(
        [PieceRange(first=10, last=19)], 320
    )
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, Bitfield.from_ranges([PieceRange(first=0, last=19)], 320))}
    room = world.room(3200, holdings, disk_free=0, keep_free=1)
    views = {world.info_hash(1): world.view(1, world.holder(1, part, progressed_at=world.now))}
    plan: Plan = world.plan([world.candidate(1)], room, views=views, holdings=holdings)
    assert [each.number for each in plan.evictions] == [1]


def test_over_quota_waits(world: Any) -> None:
    """Over the quota the plan names what it would let go and which evidence is missing, and nothing goes."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    full, part = FULL, Bitfield.empty(320)
    view = world.view(1, world.holder(1, full, smartnode=True), world.holder(2, part), mirrors=1)
    room = replace(world.room(3200, holdings), quota=Bytes(2950))
    plan: Plan = world.plan([world.candidate(1)], room, views={world.info_hash(1): view}, holdings=holdings)
    (entry,) = plan.evict
    assert (entry.permitted, entry.because.rule, len(entry.segments)) == (False, Rule.OVER_QUOTA, 3)
    assert entry.because.text == (
        "over quota, waiting: 250 bytes over; needs 1 smartnode holders of every piece, each proved within 5 min "
        "(1 seen in a view 0 min old); this version cannot prove holders yet, so it lets nothing go"
    )
    assert entry.because.evidence["smartnode_holders_proved"] == 0
    assert plan.evictions == ()
    assert plan.fetch == ()
    assert _difference(plan, holdings, room).is_empty
    blind: Plan = world.plan([world.candidate(1)], room, holdings=holdings)
    assert "needs 2 smartnode holders" in blind.evict[0].because.text
    assert "(the swarm was never looked at)" in blind.evict[0].because.text
    assert blind.evict[0].because.evidence["smartnode_holders_seen"] is None


@pytest.mark.parametrize(
    ("floor", "shrunk", "mirrors", "required"),
    [(1, False, 1, 1), (2, False, 1, 2), (2, True, 1, 1), (2, False, 0, 3), (2, False, None, 3), (5, True, None, 2)],
)
def test_holders_required(*, floor: int, shrunk: bool, mirrors: int | None, required: int) -> None:
    """K, 1 where F < 2 or the quota was lowered, and one more while no mirror is known to live."""
    assert holders_required(floor=floor, shrunk=shrunk, mirrors=mirrors, policy=Policy()) == required


def test_refusal_names_the_age(world: Any) -> None:
    """The refusal says how old the view is."""
    assert world.now.tzinfo is not None
    text = refusal(Evidence(holders=0, age_s=3600.0, mirrors=None), required=3, policy=Policy())
    assert "needs 3 smartnode holders" in text
    assert "(0 seen in a view 60 min old)" in text


def test_promises_are_dropped_first(world: Any) -> None:
    """A lowered quota drops promises, least valuable first and no more than needed; what is held stays."""
    half = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, half, FULL)}
    room = world.room(2750, holdings)
    plan: Plan = world.plan([world.candidate(1)], room, holdings=holdings)
    change = _difference(plan, holdings, room)
    after = change.wanted[world.info_hash(1)]
    assert change.dropped == {world.info_hash(1): 500}
    assert (after & half, after.count()) == (half, 270)
    assert plan.evict == ()
    (kept,) = plan.keep
    assert kept.bytes == 2700
    assert kept.because.evidence["dropped_in_flight_bytes"] == 500
    assert "500 bytes no longer asked for" in kept.because.text


def test_below_the_floor_all_promises_go(world: Any) -> None:
    """Below keep_free nothing more is written: each promise is dropped, pieces already there leave only as needed."""
    half = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, half, FULL)}
    room = world.room(3200, holdings, disk_free=100, keep_free=101)
    change = _difference(world.plan([world.candidate(1)], room, holdings=holdings), holdings, room)
    assert change.dropped == {world.info_hash(1): 1600}
    assert change.evict[world.info_hash(1)].count() == 10
    assert change.wanted[world.info_hash(1)] == half - change.evict[world.info_hash(1)]


def test_unfinished_pieces_are_not_counted_against_promises(world: Any) -> None:
    """Blocks of unfinished pieces are allocated and in flight at once; that alone drops nothing, a real excess does."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, Bitfield.empty(320), FULL)}
    room = world.room(3200, holdings)
    busy = replace(room, allocated=Bytes(80))
    plan: Plan = world.plan([world.candidate(1)], busy, holdings=holdings)
    assert _difference(plan, holdings, busy).is_empty
    broken = replace(room, allocated=Bytes(room.quota + 1))
    dropped = _difference(world.plan([world.candidate(1)], broken, holdings=holdings), holdings, broken).dropped
    assert dropped == {world.info_hash(1): 3200}


def test_withdrawn_items_stop_and_stay(world: Any) -> None:
    """Unpublished in the past: what is on its way is not asked for any more, what is held stays, nothing is fetched."""
    half = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, half, FULL)}
    room = world.room(9999, holdings)
    candidate = world.candidate(1, unpublished=datetime(2026, 2, 1, tzinfo=UTC))
    plan: Plan = world.plan([candidate], room, holdings=holdings)
    change = _difference(plan, holdings, room)
    assert change.wanted == {world.info_hash(1): half}
    assert not change.evict
    assert [entry.because.rule for entry in plan.declined] == [Rule.UNPUBLISHED]
    assert plan.keep[0].item == candidate.item.key
    later = replace(candidate, item=replace(candidate.item, unpublished=world.now + timedelta(days=1)))
    assert _difference(world.plan([later], room, holdings=holdings), holdings, room).is_empty


def test_an_absent_item_stays(world: Any) -> None:
    """An item that left the candidates keeps what it holds and what is on its way, under its info-hash."""
    half = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, half, FULL)}
    room = world.room(9999, holdings)
    plan: Plan = world.plan([], room, holdings=holdings)
    assert _difference(plan, holdings, room).is_empty
    (kept,) = plan.keep
    assert (kept.item.id, kept.bytes, kept.item_bytes) == (world.info_hash(1), 3200, 3200)
    assert "absence deletes nothing" in kept.because.text


def test_an_exact_deficit_takes_no_segment_more(world: Any) -> None:
    """Three segments that cover the deficit to the byte are three evictions."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    room = world.room(3200, holdings, disk_free=0, keep_free=300)
    plan: Plan = world.plan([world.candidate(1)], room, holdings=holdings)
    assert [each.bytes for each in plan.evictions] == [100, 100, 100]
