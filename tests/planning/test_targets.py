"""How many copies an item should have: the catalogue's target moves it up or down among the others, the volunteer's own
is where this node stops.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import Wishes
from smartnode.planning.fetch import choose
from smartnode.planning.policy import Policy
from smartnode.planning.swap import exchange
from tests.planning.test_laws import cases
from tests.planning.test_swap import field_of

TARGETS = st.none() | st.integers(-5, 2000)


def coverage(world: Any, keyed: Any, targets: list[int | None], sizes: list[int]) -> list[float]:
    """U of items with one copy each, in order, by the catalogue's targets."""
    candidates = [
        world.candidate(n, size, target_replicas=target)
        for n, (target, size) in enumerate(zip(targets, sizes, strict=True))
    ]
    views = keyed(*(world.seeds(n, each.layout, 1) for n, each in enumerate(candidates)))
    plan: Plan = world.plan(candidates, world.room(10**6), views=views)
    found = {e.info_hash: e.because.evidence["u"] for e in (*plan.fetch, *plan.declined)}
    return [found[world.info_hash(n)] for n in range(len(targets))]


@pytest.mark.parametrize(
    ("targets", "sizes", "shifts"),
    [
        ([5, 3], [3200, 3200], [-1.0, 1.0]),
        ([5, 3], [3200, 9600], [-1.5, 0.5]),  # the mean is by bytes: 3.5
        ([5, 3, None], [3200, 3200, 3200], [-1.0, 1.0, 0.0]),  # who says nothing is at the mean
        ([None, None], [3200, 3200], [0.0, 0.0]),
        ([0, 7], [3200, 3200], [0.0, 0.0]),  # below 1 says nothing
        ([1000, 100], [3200, 3200], [0.0, 0.0]),  # bounded to 100
    ],
)
def test_the_catalogue_shifts_by_mean_less_target(
    world: Any, keyed: Any, targets: list[int | None], sizes: list[int], shifts: list[float]
) -> None:
    """U is the copies and (mean target - its target)."""
    assert coverage(world, keyed, targets, sizes) == pytest.approx([1 + shift for shift in shifts])


@given(st.lists(st.tuples(TARGETS, st.integers(1, 9000)), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_shifts_cancel_out(world: Any, keyed: Any, rows: list[tuple[int | None, int]], dice: Any) -> None:
    """Whatever targets are stated, the mean coverage by bytes stays, a higher one never lowers an item's place, and the
    order of items is irrelevant.
    """
    targets, sizes = [target for target, _ in rows], [size for _, size in rows]
    u = coverage(world, keyed, targets, sizes)
    assert np.average(u, weights=sizes) == pytest.approx(1.0)
    stated = sorted((min(t, 100), -each) for t, each in zip(targets, u, strict=True) if t is not None and t > 0)
    assert [each for _, each in stated] == pytest.approx(sorted(each for _, each in stated))
    dice.shuffle(rows)
    again = coverage(world, keyed, [target for target, _ in rows], [size for _, size in rows])
    assert sorted(again) == pytest.approx(sorted(u))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12), st.integers(1, 7))
def test_nothing_with_enough_copies_is_fetched(rows: list[tuple[int, bool]], target: int) -> None:
    """With room for all, what is fetched under a target is what would be fetched without and has fewer copies; the rest
    of that is named. What is covered, the gate and the level stay.
    """
    field = field_of([copies for copies, _ in rows], [own for _, own in rows])
    free, bound = (choose(field, free=Bytes(10**6), growth=Bytes(0), target=each) for each in (None, target))
    short = field.seen < target
    assert set(bound.chosen) == {index for index in free.chosen.tolist() if short[index]}
    assert set(bound.sated) == {index for index in free.chosen.tolist() if not short[index]}
    assert (bound.gate, bound.level, set(bound.covered)) == (free.gate, free.level, set(free.covered))


@given(st.data(), st.integers(1, 4))
def test_the_target_lets_nothing_go(world: Any, data: st.DataObject, target: int) -> None:
    """What leaves is what left without a target, and one that nothing reaches changes nothing."""
    case = data.draw(cases(world))
    free: Plan = case.plan(world)
    assert case.plan(world, policy=Policy(target_copies=target)).evict == free.evict
    assert case.plan(world, policy=Policy(target_copies=9)) == free


def test_the_volunteers_target_is_said_and_a_pin_beats_it(world: Any, keyed: Any) -> None:
    """All but the first segment have two copies: they are declined with the key, the first is fetched."""
    candidate = world.candidate(1)
    first = Bitfield.from_indices(range(10), 320)
    holders = [world.holder(1, Bitfield.full(320)), world.holder(2, Bitfield.full(320) - first)]
    views, room = keyed(world.view(1, *holders)), world.room(6400)
    policy = Policy(target_copies=2)
    plan: Plan = world.plan([candidate], room, views=views, policy=policy)
    assert [(e.segments[0].first, e.bytes) for e in plan.fetch] == [(0, 100)]
    (declined,) = plan.declined
    assert (declined.because.rule, declined.bytes) == (Rule.NOT_SELECTED, 3100)
    text = declined.because.text
    assert text.startswith("not selected: selection.target_copies is 2, and so many are there; 2 other")
    wishes = Wishes(pinned=frozenset({world.info_hash(1)}))
    pinned: Plan = world.plan([candidate], room, views=views, policy=policy, wishes=wishes)
    assert sum(entry.bytes for entry in pinned.fetch) == 3200


def test_no_room_is_made_for_what_has_its_copies() -> None:
    """A full node gives nothing up for a segment that it would not fetch; pinned ones count as wanted."""
    field = field_of([5, 5, 1, 1], [True, True, False, False])
    assert len(exchange(field, gate=3, quota=200, growth=0, policy=Policy(target_copies=2)).leaving) == 2
    bound = Policy(target_copies=1)
    assert len(exchange(field, gate=3, quota=200, growth=0, policy=bound).leaving) == 0
    pinned = replace(field, pinned=np.array([False, False, True, False]))
    assert exchange(pinned, gate=3, quota=200, growth=0, policy=bound).before.tolist() == [100, 100]


def test_a_target_is_at_least_one() -> None:
    """Nothing could be fetched below it."""
    with pytest.raises(ValueError, match="target_copies >= 1"):
        Policy(target_copies=0)
