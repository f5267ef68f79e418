"""What would change a decision really does: the numbers that a person is told are those that decide."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import NO_WISHES, Wish, Wishes, Word

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
