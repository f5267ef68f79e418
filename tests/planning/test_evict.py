"""What leaves, in which order, and what the guard says when it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, node_id
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import Wishes
from smartnode.planning.difference import Difference, difference
from smartnode.planning.guard import Evidence, Hearing, Rival, Stakes, holders_required
from smartnode.planning.policy import Policy
from smartnode.planning.terms import Terms

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
        "over quota, waiting: 250 bytes over; needs 1 better-ranked smartnodes proved to hold every piece: "
        "the clock was not checked"
    )
    assert entry.because.evidence["smartnode_holders_proved"] == 0
    assert plan.evictions == ()
    assert plan.fetch == ()
    assert _difference(plan, holdings, room).is_empty
    blind: Plan = world.plan([world.candidate(1)], room, holdings=holdings)
    assert blind.evict[0].because.evidence["view_age_s"] is None


def _told(world: Any, number: int, *, others: int, proved: bool | None) -> Hearing:
    """Every segment of torrent *number* is seen at *others* smartnodes."""
    rivals = tuple(
        Rival(
            node=node_id(NODE_ID_PREFIX + each.to_bytes(12, "big")),
            group=str(each),
            holds=True,
            age=timedelta(days=2),
            proved=proved,
        )
        for each in range(others)
    )
    told = Evidence(rivals=rivals, looked_quiet=True)
    return Hearing(evidence={(world.info_hash(number), segment): told for segment in range(32)}, clock=None)


def test_over_quota_shrinks_with_proof(world: Any) -> None:
    """What may go is named to be proved, and once proved it goes, just until the quota holds; without it all waits."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 2, mirrors=1)}
    room = replace(world.room(3200, holdings), quota=Bytes(2950))
    given: dict[str, Any] = {"views": views, "holdings": holdings, "now": world.now + timedelta(minutes=30)}
    blind: Plan = world.plan([world.candidate(1)], room, **given)
    assert (blind.evictions, blind.contested) == ((), ())
    unproved: Plan = world.plan([world.candidate(1)], room, **given, hearing=_told(world, 1, others=2, proved=None))
    assert unproved.evictions == ()
    assert len(unproved.contested) == 5
    plan: Plan = world.plan([world.candidate(1)], room, **given, hearing=_told(world, 1, others=2, proved=True))
    assert plan.evictions == unproved.contested[:3]
    permitted = [entry for entry in plan.evict if entry.permitted]
    assert sum(entry.bytes for entry in permitted) == 300
    assert {entry.because.rule for entry in plan.evict} == {Rule.OVER_QUOTA}
    assert permitted[0].because.text == (
        "over quota, letting go: 250 bytes over; 2 better-ranked smartnodes were proved to hold every piece, "
        "1 are needed"
    )
    assert _difference(plan, holdings, room).evict[world.info_hash(1)].count() == 30


@pytest.mark.parametrize(("mirrors", "needed"), [(3, 1), (1, 1), (0, 2), (None, 2)])
def test_a_superseded_version_without_its_mirrors_needs_one_more_holder(
    world: Any, mirrors: int | None, needed: int
) -> None:
    """A version that is deprecated leaves as any other while a mirror serves it; once none is known to, the one proof
    that sufficed does not any more.
    """
    candidate = world.candidate(1, deprecated=True)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 2, mirrors=mirrors)}
    room = replace(world.room(3200, holdings), quota=Bytes(2950))
    given: dict[str, Any] = {"views": views, "holdings": holdings, "now": world.now + timedelta(minutes=30)}
    one: Plan = world.plan([candidate], room, **given, hearing=_told(world, 1, others=1, proved=True))
    assert {entry.because.evidence["smartnode_holders_required"] for entry in one.evict} == {needed}
    assert bool(one.evictions) == (needed == 1)
    two: Plan = world.plan([candidate], room, **given, hearing=_told(world, 1, others=2, proved=True))
    assert two.evictions


def test_below_the_floor_only_the_host_speaks(world: Any) -> None:
    """Below keep_free what could be proved does not go by the quota as well: one cycle, one reason."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 2, mirrors=1)}
    room = replace(world.room(3200, holdings, disk_free=0, keep_free=50), quota=Bytes(2950))
    hearing = _told(world, 1, others=2, proved=True)
    now = world.now + timedelta(minutes=30)
    plan: Plan = world.plan([world.candidate(1)], room, views=views, holdings=holdings, now=now, hearing=hearing)
    assert [each.bytes for each in plan.evictions] == [100]
    assert {entry.because.rule for entry in plan.evict if entry.permitted} == {Rule.KEEP_FREE}


def test_pinned_is_not_let_go_for_the_quota(world: Any) -> None:
    """Proof or not: a pinned item stays when the quota was lowered."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 2, mirrors=1)}
    room = replace(world.room(3200, holdings), quota=Bytes(2950))
    wishes = Wishes(pinned=frozenset({world.info_hash(1)}))
    hearing = _told(world, 1, others=2, proved=True)
    now = world.now + timedelta(minutes=30)
    given: dict[str, Any] = {"views": views, "holdings": holdings, "now": now, "hearing": hearing}
    assert world.plan([world.candidate(1)], room, **given).evictions
    assert world.plan([world.candidate(1)], room, **given, wishes=wishes).evictions == ()


def test_a_first_copy_needs_one_proof(world: Any) -> None:
    """A full node gives up a third copy for what nobody holds with one better-ranked proof where a mirror lives, and
    needs two for what somebody holds; the entry says by how many it may go.
    """
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    room, candidates = world.room(3200, holdings), [world.candidate(1), world.candidate(2)]
    given: dict[str, Any] = {"holdings": holdings, "now": world.now + timedelta(minutes=30), "swapping": True}

    def plan(hearing: Hearing, *, elsewhere: int, mirrors: int = 1) -> Plan:
        views = [world.seeds(1, LAYOUT, 4, mirrors=1), world.seeds(2, LAYOUT, elsewhere, mirrors=mirrors)]
        found: Plan = world.plan(candidates, room, views={v.info_hash: v for v in views}, hearing=hearing, **given)
        return found

    one, unproved = _told(world, 1, others=1, proved=True), _told(world, 1, others=1, proved=None)
    first = plan(one, elsewhere=0)
    assert first.evictions
    assert {entry.because.evidence["smartnode_holders_required"] for entry in first.evict} == {1}
    assert plan(unproved, elsewhere=0).contested
    for other in (plan(one, elsewhere=1), plan(one, elsewhere=0, mirrors=0)):
        assert (other.evictions, other.contested) == ((), ())


def test_what_stays_is_counted(world: Any) -> None:
    """Of a torrent that loses a part, the entry of what is kept names the bytes that stay."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 2, mirrors=1)}
    room = replace(world.room(3200, holdings), quota=Bytes(2950))
    given: dict[str, Any] = {"views": views, "holdings": holdings, "now": world.now + timedelta(minutes=30)}
    plan: Plan = world.plan([world.candidate(1)], room, **given, hearing=_told(world, 1, others=2, proved=True))
    gone = sum(each.bytes for each in plan.evictions)
    assert gone
    (kept,) = plan.keep
    assert (kept.bytes, kept.because.evidence["have_bytes"]) == (3200 - gone, 3200 - gone)


def test_a_full_node_swaps(world: Any) -> None:
    """A full node whose segments have too many copies gives some up for one that nobody holds, in its swap period."""
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, FULL)}
    views = {world.info_hash(1): world.seeds(1, LAYOUT, 4, mirrors=1), world.info_hash(2): world.view(2, mirrors=1)}
    room = world.room(3200, holdings)
    candidates = [world.candidate(1), world.candidate(2)]
    given: dict[str, Any] = {"views": views, "holdings": holdings, "now": world.now + timedelta(minutes=30)}
    blind: Plan = world.plan(candidates, room, **given, swapping=True)
    assert (blind.evict, blind.evictions) == ((), ())
    hearing = _told(world, 1, others=3, proved=True)
    plan: Plan = world.plan(candidates, room, **given, swapping=True, hearing=hearing)
    assert {entry.because.rule for entry in plan.evict} == {Rule.SWAP}
    assert 0 < len(plan.evictions) < 32
    assert all("makes room for rarer segments: 4 other copies seen" in entry.because.text for entry in plan.evict)
    kept = Bitfield.from_ranges([pieces for entry in plan.keep for pieces in entry.segments], 320)
    assert kept == FULL - _difference(plan, holdings, room).evict[world.info_hash(1)]
    asked: Plan = world.plan(candidates, room, **given, swapping=True, hearing=_told(world, 1, others=3, proved=None))
    assert set(plan.evictions) < set(asked.contested)
    idle: Plan = world.plan(candidates, room, **given, hearing=hearing)
    assert (idle.evict, idle.contested) == ((), ())


@pytest.mark.parametrize(
    ("floor", "shrunk", "mirrors", "required"),
    [(1, False, 1, 1), (2, False, 1, 2), (2, True, 1, 1), (2, False, 0, 3), (2, False, None, 3), (5, True, None, 2)],
)
def test_holders_required(*, floor: int, shrunk: bool, mirrors: int | None, required: int) -> None:
    """K, 1 where F < 2 or the quota was lowered, and one more while no mirror is known to live."""
    assert holders_required(Stakes(floor=floor, shrunk=shrunk, mirrors=mirrors), Terms()) == required


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
