"""Values of one column get one type, or the publisher is told which do not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.errors import PublishError
from smartnode.publish.shape import settled, shape_of, union

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_null_adds_nothing_and_a_shape_holds_itself(value: object) -> None:
    """union(x, null) = x = union(x, x), from either side."""
    shape = shape_of(value, where="v")
    assert union(shape, None, where="v") == shape == union(None, shape, where="v")
    assert union(shape, shape, where="v") == shape


def test_a_struct_is_the_union_of_keys_in_sorted_order() -> None:
    """Keys of both sides, whatever the order they came in."""
    left, right = shape_of({"b": 1, "z": {"y": "t"}}, where="v"), shape_of({"a": True, "z": {"x": 1.5}}, where="v")
    merged = union(left, right, where="v")
    assert merged == {"a": "BOOLEAN", "b": "BIGINT", "z": {"x": "DOUBLE", "y": "VARCHAR"}}
    assert list(merged) == ["a", "b", "z"]


def test_whole_and_broken_numbers_are_one_column_of_doubles() -> None:
    """1 in one item and 1.5 in another is DOUBLE, also inside a list."""
    assert union("BIGINT", "DOUBLE", where="v") == "DOUBLE"
    assert shape_of([1, 1.5], where="v") == ["DOUBLE"]


def test_what_was_never_filled_falls_away_or_holds_text() -> None:
    """A struct without keys has no column, a list that was always empty is a list of text."""
    assert settled({"a": {}, "b": [None], "c": {"d": None}}) == {"b": ["VARCHAR"]}
    assert settled({}) is None
    assert settled(None) is None


@pytest.mark.parametrize(
    ("left", "right"), [("BOOLEAN", "BIGINT"), ("VARCHAR", "DOUBLE"), ({}, "VARCHAR"), ([None], {})]
)
def test_types_that_do_not_fit_are_named(left: object, right: object) -> None:
    """The error names the place and both types; nothing is turned into text silently."""
    with pytest.raises(PublishError, match=r"item\.x is .* in one item and .* in another"):
        union(left, right, where="item.x")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1 << 63, float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    """Numbers beyond 64 bits, NaN and Python's own types are PublishErrors that name the place."""
    with pytest.raises(PublishError, match="somewhere"):
        shape_of(value, where="somewhere")


def test_depth_is_bounded() -> None:
    """A value nested without end is refused, not followed."""
    value: list[object] = []
    for _ in range(100):
        value = [value]
    with pytest.raises(PublishError, match="nested"):
        shape_of(value, where="v")
