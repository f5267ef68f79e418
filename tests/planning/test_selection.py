"""The selection decides what is fetched and nothing else; a decline names the key and its value; a pin beats it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import Wishes
from smartnode.planning.difference import difference
from smartnode.planning.policy import Candidate, Policy
from smartnode.planning.selection import EVERYTHING, Box, Selection, touches
from tests.planning.test_laws import cases

LAYOUT = Layout(total_size=Bytes(3200), piece_length=Bytes(10))
QUEBEC = (-79.8, 44.9, -57.1, 62.6)


@pytest.fixture(scope="module")
def item(world: Any) -> Item:
    """An item of 3200 bytes in the collection ortho, in Sherbrooke."""
    found: Item = world.candidate(1).item
    return replace(found, key=ItemKey(collection="ortho", id="qc-2024"), bbox=(-72.1, 45.3, -71.8, 45.5))


def judged(selection: Selection, candidate: Candidate) -> Candidate:
    """The candidate as a cycle hands it over."""
    return replace(candidate, unselected=selection.refusal(candidate.item))


@pytest.mark.parametrize(
    "pattern",
    ["ortho", "qc-2024", "ortho/qc-2024", "*", "ortho/*", "qc-*", "*/qc-2024", "qc-202?", "qc-202[0-4]", "or*"],
)
def test_patterns_that_name_an_item(item: Item, pattern: str) -> None:
    """A collection, an id, or both; as include it selects the item, as exclude it leaves it out, which goes first."""
    assert Selection(include=("nothing", pattern)).refusal(item) is None
    refused = Selection(include=(pattern,), exclude=("nothing", pattern)).refusal(item)
    assert refused is not None
    assert (refused.rule, refused.evidence) == (Rule.NOT_SELECTED, {"key": "selection.exclude", "value": pattern})
    assert f"selection.exclude names it with {pattern!r}" in refused.text


@pytest.mark.parametrize(
    "pattern", ["Ortho", "orth", "qc", "ortho/", "/qc-2024", "qc-2024x", "ortho?qc", "", "[", "qc-2024\n"]
)
def test_patterns_that_do_not(item: Item, pattern: str) -> None:
    """Whole names, capitals matter; as include they leave the item out and say what there is."""
    assert Selection(exclude=(pattern,)).refusal(item) is None
    refused = Selection(include=(pattern,)).refusal(item)
    assert refused is not None
    assert refused.evidence["key"] == "selection.include"
    assert repr(pattern) in refused.text


def test_boxes_and_sizes(item: Item) -> None:
    """What touches the box and is not larger is selected; the reason has both sides; no bbox is not inside."""
    assert Selection(bbox=QUEBEC, max_item_size=Bytes(3200)).refusal(item) is None
    far = Selection(bbox=(0.0, 0.0, 1.0, 1.0)).refusal(item)
    assert far is not None
    assert "its bbox [-72.1, 45.3, -71.8, 45.5] does not touch selection.bbox [0, 0, 1, 1]" in far.text
    unknown = Selection(bbox=QUEBEC).refusal(replace(item, bbox=None))
    assert unknown is not None
    assert "the catalogue gives no bbox for it" in unknown.text
    large = Selection(max_item_size=Bytes(3199)).refusal(item)
    assert large is not None
    assert "its 3200 bytes are more than selection.max_item_size, 3199 bytes" in large.text
    assert large.evidence == {"key": "selection.max_item_size", "value": 3199}
    assert Selection(max_item_size=Bytes(1)).refusal(replace(item, torrent=None)) is None
    assert EVERYTHING.refusal(replace(item, bbox=None)) is None


longitudes, latitudes = st.integers(-180, 180).map(float), st.integers(-90, 90).map(float)
boxes = st.tuples(longitudes, latitudes, longitudes, latitudes).map(
    lambda edges: (edges[0], min(edges[1], edges[3]), edges[2], max(edges[1], edges[3]))
)


def holds(box: Box, longitude: float, latitude: float) -> bool:
    """The point lies in the box, which may cross the antimeridian."""
    west, south, east, north = box
    inside = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return inside and south <= latitude <= north


@given(boxes, boxes)
def test_boxes_touch_when_they_share_a_point(one: Box, other: Box) -> None:
    """Exactly those that share one of their corner longitudes and latitudes do, in either order, across the
    antimeridian too.
    """
    longitudes = (one[0], one[2], other[0], other[2], -180.0, 180.0)
    latitudes = (one[1], one[3], other[1], other[3])
    shared = any(holds(one, x, y) and holds(other, x, y) for x in longitudes for y in latitudes)
    assert touches(one, other) == touches(other, one) == shared
    assert touches(one, one)


@given(st.data())
def test_what_is_not_selected_is_not_fetched_and_stays(world: Any, data: st.DataObject) -> None:
    """Whatever the selection leaves out is declined with its rule and never started; what is held of it is let go by no
    other reason than before; a pinned item is as if there were no selection.
    """
    case = data.draw(cases(world))
    names = [candidate.item.key.id for candidate in case.candidates]
    out = data.draw(st.sets(st.sampled_from(names))) if names else set()
    selection = Selection(exclude=tuple(sorted(out)))
    chosen = replace(case, candidates=[judged(selection, candidate) for candidate in case.candidates])
    hashes = {c.item.torrent.info_hash for c in case.candidates if c.item.torrent and c.item.key.id in out}
    plan = chosen.plan(world)
    assert {e.item.id for e in plan.declined if e.because.rule is Rule.NOT_SELECTED} == out
    assert not any(each.info_hash in hashes for each in plan.order)
    change = difference(plan, holdings=case.holdings, room=case.room, policy=Policy(), layouts=case.layouts)
    for name in hashes & case.holdings.keys():
        have, after = case.holdings[name].have, change.wanted.get(name, case.holdings[name].wanted)
        assert not (after - have).count()
        assert case.room.below_floor or after == have
    assert sum(entry.bytes for entry in plan.fetch) <= case.room.free
    wishes = Wishes(pinned=frozenset(hashes))
    assert chosen.plan(world, wishes=wishes) == case.plan(world, wishes=wishes)


def test_another_id_of_one_torrent_may_be_selected(world: Any) -> None:
    """A torrent under two ids is fetched when one of them is selected; the other says as which."""
    selection = Selection(exclude=("a",))
    candidates = [judged(selection, world.candidate(1, id=name)) for name in ("a", "b")]
    plan: Plan = world.plan(candidates, world.room(3200))
    assert {e.item.id for e in plan.fetch} == {"b"}
    assert [(e.item.id, e.because.rule) for e in plan.declined] == [("a", Rule.SAME_TORRENT)]


def test_what_is_held_of_it_says_so(world: Any) -> None:
    """The entry of what is kept names the selection; its promises are dropped."""
    half = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, half, Bitfield.full(320))}
    candidate = judged(Selection(max_item_size=Bytes(10)), world.candidate(1))
    plan: Plan = world.plan([candidate], world.room(9999, holdings), holdings=holdings)
    assert "1600 bytes no longer asked for: the selection leaves it out" in plan.keep[0].because.text
    assert plan.keep[0].item == candidate.item.key
