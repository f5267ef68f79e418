"""The water level solves its equation, also where rounding would lie."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.planning import water

archives = st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 10**12)), min_size=1, max_size=30)


@given(archives, st.floats(0, 20))
def test_level_solves_its_equation(archive: list[tuple[float, int]], copies: float) -> None:
    """Sum of b * max(l - base, 0) is the capacity."""
    base, weight = np.array([each[0] for each in archive]), np.array([each[1] for each in archive])
    capacity = copies * float(weight.sum())
    level = water.level(base, weight, capacity)
    assert level is not None
    poured = float((weight * np.maximum(level - base, 0)).sum())
    assert math.isclose(poured, capacity, rel_tol=1e-9, abs_tol=1e-6 * float(weight.sum()))


@given(st.lists(st.integers(1, 10**13), min_size=1, max_size=50), st.integers(0, 200))
def test_whole_copies_are_whole(sizes: list[int], copies: int) -> None:
    """With equal bases and exactly n copies of everything F is n, not n - 1."""
    weight = np.array(sizes)
    level = water.level(np.zeros(len(sizes)), weight, copies * int(weight.sum()))
    assert water.full_copies(level) == copies


@given(st.floats(-5, 5), st.lists(st.integers(1, 10**13), min_size=1, max_size=50), st.integers(0, 200))
def test_whole_copies_above_any_base(base: float, sizes: list[int], copies: int) -> None:
    """Level less base is the number of copies within the slack, wherever the base is."""
    weight = np.array(sizes)
    level = water.level(np.full(len(sizes), base), weight, copies * int(weight.sum()))
    assert level is not None
    assert abs(level - base - copies) < water.SLACK


@pytest.mark.parametrize(("height", "copies"), [(None, 0), (-0.58, -1), (0.0, 0), (4.9999999999, 5), (4.999, 4)])
def test_full_copies(height: float | None, copies: int) -> None:
    """F is the floor of the level, with a slack far below any real difference."""
    assert water.full_copies(height) == copies


def test_nothing_to_fill() -> None:
    """An empty archive has no level; without capacity the level is the lowest base."""
    assert water.level(np.zeros(0), np.zeros(0, dtype=np.int64), 5) is None
    assert water.level(np.array([1.0, -2.0]), np.array([5, 5]), 0) == -2.0
