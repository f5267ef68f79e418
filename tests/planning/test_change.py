"""What would change a decision really does: the numbers that a person is told are those that decide."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, node_id
from smartnode.domain.pieces import Bitfield, Bytes, PieceRange
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import NO_WISHES, Wish, Wishes, Word
from smartnode.planning.guard import Evidence, Hearing, Rival
from smartnode.planning.segments import Cut

COUNT = re.compile(r"once (?:at most )?(no|\d+) other cop")


def plan_of(world: Any, copies: list[int], *, quota: int, wishes: Wishes = NO_WISHES, mirrors: int = 1) -> Plan:
    """Plan for items with so many other copies, 3,200 bytes each."""
    items = [world.candidate(n) for n in range(len(copies))]
    views = [world.seeds(n, items[n].layout, each, mirrors=mirrors) for n, each in enumerate(copies)]
    return world.plan(items, world.room(quota), views={v.info_hash: v for v in views}, wishes=wishes)  # type: ignore[no-any-return]


def rule_of(plan: Plan, info_hash: InfoHash) -> set[Rule]:
    """Return the rules of one torrent's entries."""
    return {e.because.rule for e in (*plan.fetch, *plan.declined) if e.info_hash == info_hash}


@given(st.lists(st.integers(0, 6), min_size=2, max_size=5), st.integers(0, 2))
def test_the_count_decides(world: Any, copies: list[int], mirrors: int) -> None:
    """With the named number of copies the decision turns, one less or more leaves it, while the gate stands still."""
    plan = plan_of(world, copies, quota=10**6, mirrors=mirrors)
    gate = next(iter((*plan.fetch, *plan.declined))).because.evidence["gate"]
    for entry in (*plan.fetch, *plan.declined):
        number = COUNT.search(entry.because.change)
        assert number is not None
        named = 0 if number[1] == "no" else int(number[1])
        covered = entry.because.rule is Rule.ENOUGH_COPIES
        for count, wanted in ((named, covered), (named + (1 if covered else -1), not covered)):
            again = list(copies)
            again[int(entry.info_hash or "", 16)] = count
            other = plan_of(world, again, quota=10**6, mirrors=mirrors)
            if next(iter((*other.fetch, *other.declined))).because.evidence["gate"] == gate:
                assert (Rule.ENOUGH_COPIES not in rule_of(other, entry.info_hash or InfoHash(""))) is wanted


def test_more_room_or_a_pin_gets_what_found_none(world: Any) -> None:
    """The bytes that are named are enough, and a pin is too."""
    plan = plan_of(world, [1, 1], quota=3200)
    left = [entry for entry in plan.declined if entry.because.rule is Rule.NO_ROOM]
    named = [re.search(r"(\d+) bytes that are as rare", entry.because.change) for entry in left]
    assert [int(number[1]) for number in named if number is not None] == [3200] * len(left)
    more = plan_of(world, [1, 1], quota=3200 + 3200)
    for entry in left:
        info_hash = entry.info_hash or InfoHash("")
        assert Rule.NO_ROOM not in rule_of(more, info_hash)
        wish = Wish(info_hash=info_hash, word=Word.PINNED, item=str(entry.item), at=world.now)
        assert rule_of(plan_of(world, [1, 1], quota=3200, wishes=Wishes.of([wish])), info_hash) == {Rule.PINNED}


def test_what_is_fetched_has_a_place(world: Any) -> None:
    """Places count the segments that come, the first of each group is told."""
    plan = plan_of(world, [0, 1, 0], quota=3200 * 3)
    places = [entry.because.evidence["place"] for entry in plan.fetch]
    assert places[0] == 1
    assert places == sorted(places, key=lambda place: float(place or 0))
    assert {entry.because.evidence["places"] for entry in plan.fetch} == {len(plan.order)} == {96}


@pytest.mark.parametrize("others", [1, 3])
def test_what_is_held_says_when_it_would_go(world: Any, others: int) -> None:
    """Held segments are told by how many copies they would make room, pinned ones that they would not."""
    item, other = world.candidate(1), world.candidate(2)
    held = world.holding(1, item.layout, Bitfield.full(item.layout.num_pieces))
    views = {v.info_hash: v for v in (world.seeds(1, item.layout, others), world.seeds(2, other.layout, 0))}
    given_ = {"views": views, "holdings": {held.info_hash: held}}
    plan = world.plan([item, other], world.room(3200, {held.info_hash: held}), **given_)
    assert "makes room for something rarer once 1 other copy of it is seen" in plan.keep[0].because.change
    wish = Wish(info_hash=held.info_hash, word=Word.PINNED, item="c/item001", at=world.now)
    pinned = world.plan([item, other], world.room(3200, given_["holdings"]), wishes=Wishes.of([wish]), **given_)
    assert "take the pin back" in pinned.keep[0].because.change


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 9000), st.sets(st.integers(0, 3)))
def test_a_pin_is_promised_where_it_helps(world: Any, copies: list[int], quota: int, pins: set[int]) -> None:
    """Where a pin is said to fetch, it does, beside whatever is pinned already; a full quota promises nothing, and
    what is pinned is not told to be.
    """
    said = [Wish(info_hash=world.info_hash(n), word=Word.PINNED, item="c/x", at=world.now) for n in pins]
    for entry in plan_of(world, copies, quota=quota, wishes=Wishes.of(said)).declined:
        info_hash = entry.info_hash or InfoHash("")
        wish = Wish(info_hash=info_hash, word=Word.PINNED, item=str(entry.item), at=world.now)
        after = plan_of(world, copies, quota=quota, wishes=Wishes.of([*said, wish]))
        if "a pin fetches it" in entry.because.change:
            assert Rule.PINNED in rule_of(after, info_hash)
        else:
            told = "a pin puts it first once there is room" in entry.because.change
            assert told is (int(info_hash, 16) not in pins)


def over_quota(world: Any, *, proved: bool | None) -> Plan:
    """Plan for a node that is over its quota by nearly all that it holds, with three other holders."""
    item = world.candidate(1)
    held = world.holding(1, item.layout, Bitfield.full(item.layout.num_pieces))
    names = [node_id(NODE_ID_PREFIX + number.to_bytes(12, "big")) for number in range(3)]
    rivals = tuple(Rival(node=n, group=n.hex(), holds=True, age=timedelta(days=3), proved=proved) for n in names)
    told = Evidence(rivals=rivals, looked_quiet=True)
    hearing = Hearing(evidence={(held.info_hash, number): told for number in range(32)}, clock=None)
    room = replace(world.room(3200, {held.info_hash: held}), quota=Bytes(1))
    views = {held.info_hash: world.seeds(1, item.layout, 3, mirrors=1)}
    return world.plan(  # type: ignore[no-any-return]
        [item],
        room,
        views=views,
        holdings={held.info_hash: held},
        hearing=hearing,
        now=world.now + timedelta(minutes=30),
    )


def test_proofs_are_named_where_they_help(world: Any) -> None:
    """What is said to go with more proofs goes once all holders gave them; what is outranked says that no proof helps,
    and stays.
    """
    before, after = over_quota(world, proved=None), over_quota(world, proved=True)
    told = {"more proof": set[PieceRange](), "no proof helps until that has passed": set[PieceRange]()}
    for entry in before.evict:
        (words,) = [each for each in told if each in entry.because.change]
        told[words].update(entry.segments)
    gone = {each.pieces for each in after.evictions}
    assert list(told.values()) == [gone, set(_segments(world)) - gone]
    assert all(told.values())


def _segments(world: Any) -> list[PieceRange]:
    """Return the segments of the one item."""
    cut = Cut.of(world.candidate(1).layout)
    return [cut.pieces(number) for number in range(cut.count)]
