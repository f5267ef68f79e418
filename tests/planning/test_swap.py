"""Swaps: what a full node gives up, how much of it, and when not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.planning import swap
from smartnode.planning.field import Field, lay_out
from smartnode.planning.policy import Policy
from smartnode.planning.swap import exchange, take


def field_of(copies: list[int], own: list[bool], *, size: int = 100, known: bool = True, credit: float = 0.0) -> Field:
    """Return a field of equal segments with *copies* elsewhere, some held by this node."""
    count, mine = len(copies), np.array(own)
    sizes = np.full(count, size, dtype=np.int64)
    return lay_out(
        size=sizes,
        cost=np.where(mine, 0, sizes),
        held=np.where(mine, sizes, 0),
        copies=np.array(copies, dtype=np.int64),
        coming=np.zeros(count, dtype=np.int64),
        known=np.full(count, known),
        offered=np.ones(count, dtype=np.bool_),
        pinned=np.zeros(count, dtype=np.bool_),
        excluded=np.zeros(count, dtype=np.bool_),
        merit=np.zeros(count),
        credit=np.full(count, credit),
        g=np.arange(count, dtype=np.float64),
    )


def test_the_most_covered_goes() -> None:
    """The most covered leaves first, of equals the lowest-ranked; no more than would come."""
    field = field_of([4, 4, 2, 1, 0, 1], [True, True, True, True, False, False])
    found = exchange(field, gate=3, quota=400, growth=0, policy=Policy())
    assert found.leaving.tolist() == [0, 1, 2, 3]
    assert found.before.tolist() == [200, 200, 200, 100]
    all_of_it = replace(found, share=999.0)
    assert take(all_of_it, field.held, draw=0.5, permitted=lambda *_: True).tolist() == [0, 1]
    assert found.moving == 400
    assert found.share == pytest.approx(0.5 * 400 * 400 / field.capacity)


def test_pinned_is_not_swapped() -> None:
    """What the volunteer pinned stays, however many copies there are."""
    field = field_of([4, 4, 0, 0], [True, True, False, False])
    pinned = replace(field, pinned=np.array([True, False, False, False]))
    assert exchange(pinned, gate=3, quota=200, growth=0, policy=Policy()).leaving.tolist() == [1]


@pytest.mark.parametrize(
    ("copies", "growth"), [([2, 2, 2, 2], 0), ([5, 5, 0, 0], 10_000)], ids=["already even", "still growing"]
)
def test_nothing_to_do(copies: list[int], growth: int) -> None:
    """An even archive is left alone, and so is one whose growth will mend it."""
    field = field_of(copies, [True, True, False, False])
    assert not len(exchange(field, gate=3, quota=200, growth=growth, policy=Policy()).leaving)


def test_unknown_is_not_swapped() -> None:
    """What was not seen lately neither goes nor draws anything out."""
    field = field_of([5, 5, 0, 0], [True, True, False, False], known=False)
    assert exchange(field, gate=3, quota=200, growth=0, policy=Policy()) is swap.NOTHING


def test_what_was_seen_stands_for_the_rest() -> None:
    """A node that lately saw half of the archive gives up the share of one that saw all of it, where all is alike."""
    half = field_of([5, 5, 0, 0], [True, True, False, False])
    both = field_of([5, 5, 0, 0] * 2, [True, True, False, False] * 2)
    whole = exchange(both, gate=3, quota=400, growth=0, policy=Policy())
    unseen = replace(both, known=np.arange(8) < 4)
    assert exchange(unseen, gate=3, quota=400, growth=0, policy=Policy()).share == pytest.approx(whole.share)
    assert whole.moving == 2 * exchange(half, gate=3, quota=400, growth=0, policy=Policy()).moving


def test_many_nodes_swap_slowly() -> None:
    """Where the copies are more than 5,000 quotas the share is a fifth."""
    field = field_of([9, 9, 0, 0], [True, True, False, False], size=10_000)
    few = exchange(field, gate=5, quota=100, growth=0, policy=Policy()).share
    many = exchange(field, gate=5, quota=10, growth=0, policy=Policy()).share
    assert many == pytest.approx(few / 10 / 5)


@pytest.mark.parametrize(("draw", "taken"), [(0.49, [0, 1, 2]), (0.51, [0, 1])])
def test_a_share_is_rounded(draw: float, taken: list[int]) -> None:
    """Two and a half segments are three or two, as the draw says; what is refused is passed over."""
    found = swap.Exchange(leaving=np.arange(9), before=np.full(9, 900), share=250.0, moving=999.0, urgent=0)
    sizes = np.full(9, 100)
    assert take(found, sizes, draw=draw, permitted=lambda *_: True).tolist() == taken
    odd = take(found, sizes, draw=draw, permitted=lambda index, _: index % 2 == 1).tolist()
    assert odd == [2 * each + 1 for each in taken]


def test_first_copies_are_urgent() -> None:
    """What nobody holds and a mirror still has is urgent: the guard is told for as many bytes, and not for the rest."""
    field = field_of([3, 3, 3, 0, 1, 0], [True, True, True, False, False, False], credit=0.5)
    found = replace(exchange(field, gate=4, quota=400, growth=0, policy=Policy()), share=999.0)
    assert found.urgent == 200
    told: list[tuple[int, bool]] = []
    take(found, field.held, draw=0.5, permitted=lambda index, urgent: not told.append((index, urgent)))
    assert told == [(0, True), (1, True), (2, False)]
    coming = replace(field, seen=field.seen + np.array([0, 0, 0, 1, 0, 0]))
    assert exchange(coming, gate=4, quota=400, growth=0, policy=Policy()).urgent == 100
    nowhere = field_of([3, 3, 3, 0, 1, 0], [True, True, True, False, False, False])
    assert exchange(nowhere, gate=4, quota=400, growth=0, policy=Policy()).urgent == 0


def test_a_refused_one_leaves_its_partner_to_the_next() -> None:
    """The rarest is not kept waiting by holders that head the list and may not go; once it comes, nothing else goes."""
    field = field_of([9, 8, 7, 6, 0, 5, 5], [True, True, True, True, False, False, False])
    found = exchange(field, gate=7, quota=400, growth=0, policy=Policy())
    assert found.leaving.tolist() == [0, 1, 2, 3]
    assert found.before.tolist() == [300, 300, 300, 300]
    odd = replace(found, before=np.array([300, 300, 300, 100]), share=999.0)
    sizes = np.full(7, 100)
    assert take(odd, sizes, draw=0.5, permitted=lambda index, _: index >= 2).tolist() == [2]
    assert take(odd, sizes, draw=0.5, permitted=lambda index, _: index >= 3).tolist() == [3]


@given(st.data())
def test_no_swap_makes_things_worse(data: Any) -> None:
    """Whatever the archive: what goes is held, has copies left, and stays above what would come for it."""
    count = data.draw(st.integers(1, 40))
    copies = data.draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    own = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    gate = data.draw(st.integers(0, 6))
    field = field_of(copies, own)
    found = exchange(field, gate=gate, quota=100 * sum(own), growth=0, policy=Policy())
    missing = [c for c, mine in zip(copies, own, strict=True) if not mine]
    for index in found.leaving.tolist():
        assert own[index]
        assert copies[index] >= min(missing) + 1
    gone = take(found, np.full(count, 100), draw=0.0, permitted=lambda *_: True)
    assert len(gone) <= len(missing)
    for index, coming in zip(gone.tolist(), sorted(missing), strict=False):
        assert copies[index] >= coming + 1
    assert 0 <= found.share <= max(found.moving, 0)
