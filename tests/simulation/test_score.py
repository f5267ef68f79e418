"""The yardstick: nothing beats the optimum, and water-filling is the optimum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.simulation.score import optimal_loss, score


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10**12)), min_size=1, max_size=50))
def test_nothing_beats_the_optimum(archive: list[tuple[int, int]]) -> None:
    """Whatever the copies, their loss is at least that of the optimum for as many bytes."""
    copies, size = np.array([each[0] for each in archive]), np.array([each[1] for each in archive])
    found = score(copies, size, float((copies * size).sum()))
    assert found.loss_ratio >= 1 - 1e-9
    assert found.copies_min <= found.copies_p1
    assert found.copies_min <= found.copies_mean <= copies.max() + 1e-9
    assert (found.uncovered == 0) == (found.copies_min > 0)


@pytest.mark.parametrize("copies", [0, 1, 2, 5])
def test_an_even_archive_is_the_optimum(copies: int) -> None:
    """As many copies of everything: 1.0; half of it with one more: still 1.0."""
    size = np.full(10, 7)
    assert score(np.full(10, copies), size, 70.0 * copies).loss_ratio == pytest.approx(1)
    halves = np.repeat([copies, copies + 1], 5)
    assert score(halves, size, 70 * (copies + 0.5)).loss_ratio == pytest.approx(1)
    assert optimal_loss(70 * (copies + 0.5), 70) < optimal_loss(70.0 * copies, 70)


def test_percentile_is_by_bytes() -> None:
    """One large segment without a copy is the first percentile, many small ones are not."""
    assert score(np.array([0, 3]), np.array([2, 98]), 1.0).copies_p1 == 0
    assert score(np.array([0] * 9 + [3]), np.array([1] * 9 + [2000]), 1.0).copies_p1 == 3
