"""Laws of the plan and of its difference, over random archives, swarms, holdings and rooms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.plan import Plan, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.planning.difference import difference, targets
from smartnode.planning.policy import Candidate, Policy
from smartnode.planning.segments import Cut

GB = 10**9
DECLINED_SEGMENTS = {Rule.NO_ROOM, Rule.ENOUGH_COPIES}


@dataclass(frozen=True)
class Case:
    """One world to plan for."""

    candidates: list[Candidate]
    views: dict[InfoHash, SwarmView]
    holdings: dict[InfoHash, Holding]
    layouts: dict[InfoHash, Layout]
    room: Room

    def plan(self, world: Any, **changed: Any) -> Plan:
        """Plan for it."""
        return world.plan(self.candidates, self.room, **({"views": self.views, "holdings": self.holdings} | changed))


@st.composite
def cases(draw: st.DrawFn, world: Any, *, plain: bool = False) -> Case:
    """Draw an archive; *plain*: all items are worth the same, all swarms are seen now, only room is short."""
    candidates, views, holdings, layouts = [], {}, {}, {}
    for number in range(1, draw(st.integers(1, 4)) + 1):
        values = {} if plain else {"priority": draw(st.integers(-9, 9)), "target_replicas": draw(st.integers(-1, 6))}
        candidate = world.candidate(number, draw(st.integers(1, 4000)), draw(st.integers(5, 40)), **values)
        cut, info_hash = Cut.of(candidate.layout), world.info_hash(number)
        layouts[info_hash] = candidate.layout
        if draw(st.booleans()):
            have, wanted = draw(_segment_sets(cut)), draw(_segment_sets(cut))
            holdings[info_hash] = world.holding(number, candidate.layout, have, wanted)
        if plain or draw(st.booleans()):
            seen = draw(st.lists(_segment_sets(cut), max_size=3))
            holders = [world.holder(10 * number + each, pieces) for each, pieces in enumerate(seen)]
            hours = 0 if plain else draw(st.sampled_from([0, 1, 5, 7, 100, None]))
            mirrors = 0 if plain else draw(st.sampled_from([None, 0, 1, 3]))
            age = None if hours is None else timedelta(hours=hours)
            views[info_hash] = world.view(number, *holders, age=age, mirrors=mirrors)
        if draw(st.integers(0, 9)) or plain:  # else: not offered any more
            candidates.append(candidate)
    own = sum(each.held_bytes + each.in_flight_bytes for each in holdings.values())
    room = world.room(own + draw(st.integers(0, 9000)), holdings)
    if not plain:
        floor, lowered = draw(st.integers(-2000, 6000)), draw(st.integers(0, 4000))
        room = replace(room, disk_free=10_000, keep_free=10_000 + floor, quota=max(1, room.quota - lowered))
    return Case(candidates=candidates, views=views, holdings=holdings, layouts=layouts, room=room)


@st.composite
def _segment_sets(draw: st.DrawFn, cut: Cut) -> Bitfield:
    """Draw whole segments, and sometimes a few stray pieces."""
    numbers = draw(st.sets(st.integers(0, cut.count - 1), max_size=cut.count))
    stray = draw(st.sets(st.integers(0, cut.layout.num_pieces - 1), max_size=2))
    whole = Bitfield.from_ranges([cut.pieces(number) for number in numbers], cut.layout.num_pieces)
    return whole | Bitfield.from_indices(stray, cut.layout.num_pieces)


def applied(case: Case, wanted: dict[InfoHash, Bitfield], *, arrived: bool) -> Case:
    """Return the world after a difference was applied, with its pieces *arrived* or still in flight."""
    after = dict(case.holdings)
    for info_hash, pieces in wanted.items():
        have = pieces if arrived else Bitfield.empty(pieces.length)
        held = case.holdings.get(info_hash)
        have = have | held.have if held is not None else have
        after[info_hash] = Holding(info_hash=info_hash, layout=case.layouts[info_hash], have=have, wanted=pieces | have)
    held_now, promised = (sum(e.held_bytes for e in after.values()), sum(e.in_flight_bytes for e in after.values()))
    return replace(case, holdings=after, room=replace(case.room, allocated=held_now, in_flight=promised))


@given(st.data())
def test_never_past_the_quota(world: Any, data: st.DataObject) -> None:
    """The target fits the free quota; what a cycle starts fits the quota, the disk, and the pace or one segment."""
    case = data.draw(cases(world))
    policy = Policy(pace=data.draw(st.sampled_from([0.02, 0.1, 1.0])))
    plan = case.plan(world, policy=policy)
    assert sum(entry.bytes for entry in plan.fetch) <= case.room.free
    change = difference(plan, holdings=case.holdings, room=case.room, policy=policy, layouts=case.layouts)
    started = [segment.bytes for segment in change.started]
    assert sum(started) <= max(0, min(case.room.free, case.room.disk_room))
    assert sum(started) <= policy.pace * case.room.quota or len(started) == 1
    assert bool(started) == any(each.bytes <= min(case.room.free, case.room.disk_room) for each in plan.order)
    assert list(targets(plan, policy, case.room)) == list(dict.fromkeys(each.info_hash for each in change.started))
    after = applied(case, dict(change.wanted), arrived=data.draw(st.booleans()))
    grown = sum(each.held_bytes + each.in_flight_bytes for each in after.holdings.values())
    before = sum(each.held_bytes + each.in_flight_bytes for each in case.holdings.values())
    assert grown <= before + sum(started)


@given(st.data())
def test_segments_are_whole_and_once(world: Any, data: st.DataObject) -> None:
    """Every segment of fetch, declined and evict is one of the cut; none is fetched twice, held, or also declined."""
    case = data.draw(cases(world))
    plan = case.plan(world)
    decided = [entry for entry in plan.declined if entry.because.rule in DECLINED_SEGMENTS]
    for entry in (*plan.fetch, *decided, *plan.evict):
        assert entry.info_hash is not None
        cut = Cut.of(case.layouts[entry.info_hash])
        assert set(entry.segments) <= {cut.pieces(number) for number in range(cut.count)}
    named = [(entry.info_hash, segment) for entry in (*plan.fetch, *decided) for segment in entry.segments]
    assert len(named) == len(set(named))
    for info_hash, segment in named:
        holding = case.holdings.get(info_hash)
        assert holding is None or not (holding.have | holding.wanted).covers(segment)
    assert [(each.info_hash, each.pieces) for each in plan.order] == _in_order(plan.order, plan.fetch)
    assert sum(each.bytes for each in plan.order) == sum(entry.bytes for entry in plan.fetch)
    keys = [(entry.item, entry.because.rule) for entry in (*plan.declined, *plan.fetch, *plan.keep)]
    assert len(keys) == len(set(keys))


def _in_order(order: Sequence[Any], fetch: Sequence[PlanEntry]) -> list[Any]:
    """Check that *fetch* groups *order* by its first segments, and return the order."""
    assert sorted((e.info_hash, s) for e in fetch for s in e.segments) == sorted((s.info_hash, s.pieces) for s in order)
    place = {(segment.info_hash, segment.pieces): at for at, segment in enumerate(order)}
    firsts = [place[(entry.info_hash, entry.segments[0])] for entry in fetch]
    assert firsts == sorted(firsts)
    for entry in fetch:
        assert all(place[(entry.info_hash, a)] < place[(entry.info_hash, b)] for a, b in pairwise(entry.segments))
    return [(segment.info_hash, segment.pieces) for segment in order]


@given(st.data())
def test_applied_plan_is_stable(world: Any, data: st.DataObject) -> None:
    """Once the whole target is held or in flight, planning again fetches nothing more and drops nothing, as long
    as no promise had to be dropped.
    """
    case = data.draw(cases(world))
    case = replace(case, room=replace(case.room, disk_free=GB, keep_free=0))
    policy = Policy(pace=1.0)
    first = case.plan(world, policy=policy)
    change = difference(first, holdings=case.holdings, room=case.room, policy=policy, layouts=case.layouts)
    assert len(change.started) == len(first.order)
    after = applied(case, dict(change.wanted), arrived=data.draw(st.booleans()))
    if change.dropped:
        assert case.room.free == 0
        return
    second = after.plan(world, policy=policy)
    assert second.order == ()
    if case.room.free:
        again = difference(second, holdings=after.holdings, room=after.room, policy=policy, layouts=case.layouts)
        assert again.is_empty


@given(st.data())
def test_paced_cycles_never_drop_what_they_started(world: Any, data: st.DataObject) -> None:
    """Cycle after cycle at a small pace, what was promised stays promised until nothing more fits."""
    case = data.draw(cases(world, plain=True))
    policy = Policy(pace=0.1)
    for _ in range(200):
        plan = case.plan(world, policy=policy)
        change = difference(plan, holdings=case.holdings, room=case.room, policy=policy, layouts=case.layouts)
        assert not change.dropped
        if not change.started:
            break
        case = applied(case, dict(change.wanted), arrived=False)
    assert not case.plan(world, policy=policy).order


@given(st.data())
def test_order_is_irrelevant(world: Any, data: st.DataObject) -> None:
    """The order of items, views, holders and holdings changes nothing; the plan is a function."""
    case = data.draw(cases(world))
    shuffled = replace(
        case,
        candidates=data.draw(st.permutations(case.candidates)),
        views={
            name: replace(case.views[name], holders=tuple(data.draw(st.permutations(case.views[name].holders))))
            for name in reversed(case.views)
        },
        holdings=dict(reversed(case.holdings.items())),
    )
    assert shuffled.plan(world) == case.plan(world)


@given(st.data())
def test_evictions(world: Any, data: st.DataObject) -> None:
    """Only keep_free permits evictions, just enough of them, only of pieces held; over quota all are refused."""
    case = data.draw(cases(world))
    plan = case.plan(world)
    permitted = [entry for entry in plan.evict if entry.permitted]
    assert all((entry.because.rule is Rule.KEEP_FREE) is entry.permitted for entry in plan.evict)
    sizes, need = [each.bytes for each in plan.evictions], case.room.below_floor
    assert bool(sizes) == (need > 0 and any(each.have.count() for each in case.holdings.values()))
    assert not sizes or sum(sizes) - sizes[-1] < need
    assert sum(sizes) >= min(need, sum(each.held_bytes for each in case.holdings.values()))
    assert sum(entry.bytes for entry in permitted) == sum(sizes)
    change = difference(plan, holdings=case.holdings, room=case.room, policy=Policy(), layouts=case.layouts)
    assert sum(case.layouts[name].bytes_in(pieces) for name, pieces in change.evict.items()) == sum(sizes)
    for name, holding in case.holdings.items():
        gone = change.evict.get(name, Bitfield.empty(holding.have.length))
        after = change.wanted.get(name, holding.wanted)
        assert holding.have - after == gone
        assert not (gone & after).count()


@given(st.data())
def test_everything_held_is_accounted_for(world: Any, data: st.DataObject) -> None:
    """Every piece held is kept or evicted, whatever the catalogue says; keep and fetch together stay in the quota."""
    case = data.draw(cases(world))
    plan = case.plan(world)
    for name, holding in case.holdings.items():
        kept = [s for entry in plan.keep if entry.info_hash == name for s in entry.segments]
        gone = [each.pieces for each in plan.evictions if each.info_hash == name]
        named = Bitfield.from_ranges([*kept, *gone], holding.have.length)
        assert not (holding.have - named).count()
    if case.room.free:
        assert sum(entry.bytes for entry in (*plan.keep, *plan.fetch)) <= case.room.quota


@settings(max_examples=200)
@given(st.data())
def test_more_quota_never_hurts_the_rarest(world: Any, data: st.DataObject) -> None:
    """With all swarms seen and all items worth the same, more room never lowers the copies of the rarest segment."""
    case = data.draw(cases(world, plain=True))
    more = replace(case, room=replace(case.room, quota=Bytes(case.room.quota + data.draw(st.integers(1, 9000)))))
    assert _rarest(world, more) >= _rarest(world, case)


def _rarest(world: Any, case: Case) -> int:
    """Copies of the rarest segment once the plan is applied."""
    plan = case.plan(world)
    fetched = {(each.info_hash, each.pieces) for each in plan.order}
    copies = []
    for name, layout in case.layouts.items():
        cut = Cut.of(layout)
        for number in range(cut.count):
            pieces = cut.pieces(number)
            holding = case.holdings.get(name)
            own = (name, pieces) in fetched or (holding is not None and (holding.have | holding.wanted).covers(pieces))
            copies.append(own + sum(holder.pieces.covers(pieces) for holder in case.views[name].holders))
    return min(copies)


@given(st.data())
def test_unknown_evicts_nothing(world: Any, data: st.DataObject) -> None:
    """Without views, without a catalogue, over the quota: all that is held stays, unless keep_free speaks."""
    case = data.draw(cases(world))
    blind = replace(case, views={}, candidates=[], room=replace(case.room, keep_free=0))
    plan = blind.plan(world)
    assert plan.evictions == ()
    assert not any(entry.permitted for entry in plan.evict)
    assert plan.level is None
    change = difference(plan, holdings=blind.holdings, room=blind.room, policy=Policy(), layouts=case.layouts)
    assert not change.evict
