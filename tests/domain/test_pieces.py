"""A bitfield is a set of pieces and behaves like Python's; a layout's arithmetic agrees with counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange

MAX = 80


@st.composite
def _sets(draw: st.DrawFn) -> tuple[int, set[int], set[int]]:
    length = draw(st.integers(0, MAX))
    subset = st.sets(st.integers(0, length - 1)) if length else st.just(set())
    return length, draw(subset), draw(subset)


@given(_sets())
def test_set_algebra(drawn: tuple[int, set[int], set[int]]) -> None:
    """Union, intersection, difference, membership and count are those of the set of indices."""
    length, one, two = drawn
    a, b = Bitfield.from_indices(one, length), Bitfield.from_indices(two, length)
    assert set((a | b).indices()) == one | two
    assert set((a & b).indices()) == one & two
    assert set((a - b).indices()) == one - two
    assert [index for index in range(-1, length + 9) if index in a] == sorted(one)
    assert a.count() == len(one)
    assert (a == b) == (one == two)


@given(_sets())
def test_every_form_says_the_same(drawn: tuple[int, set[int], set[int]]) -> None:
    """Indices, ranges, array and wire bytes are one set; ranges are maximal and ascending."""
    length, one, _ = drawn
    field = Bitfield.from_indices(one, length)
    assert Bitfield.from_array(field.to_array()) == field
    assert Bitfield.from_ranges(field.ranges(), length) == field
    assert Bitfield(field.bits, length) == field
    assert field.indices() == sorted(one)
    edges = [edge for pieces in field.ranges() for edge in (pieces.first, pieces.last + 1)]
    assert edges == sorted(set(edges))
    assert all(bool(field.bits[index >> 3] >> (7 - index % 8) & 1) == (index in one) for index in range(length))


@given(_sets(), st.integers(0, MAX), st.integers(0, MAX))
def test_covers(drawn: tuple[int, set[int], set[int]], a: int, b: int) -> None:
    """A range is covered when each of its pieces is in the set, and never when it leaves the torrent."""
    length, one, _ = drawn
    pieces = PieceRange(first=min(a, b), last=max(a, b))
    assert Bitfield.from_indices(one, length).covers(pieces) == (set(range(pieces.first, pieces.last + 1)) <= one)


def test_empty_and_full() -> None:
    """Empty holds no piece, full holds each one, and spare bits stay zero."""
    for length in (0, 1, 7, 8, 9):
        assert Bitfield.empty(length).indices() == []
        assert Bitfield.full(length).indices() == list(range(length))
    assert Bitfield.full(9).bits == b"\xff\x80"


def test_arrays_are_fresh() -> None:
    """Writing into an array does not reach the bitfield it came from."""
    field = Bitfield.full(9)
    field.to_array()[:] = False
    assert field == Bitfield.full(9)
    assert field.to_array().dtype == np.bool_


@pytest.mark.parametrize(("bits", "length"), [(b"", 1), (b"\0\0", 8), (b"\x01", 7), (b"\xff\x40", 9), (b"", -1)])
def test_malformed_bitfields(bits: bytes, length: int) -> None:
    """Bytes that do not fit the length, or spare bits that are set, are refused."""
    with pytest.raises(ValueError, match=r"pieces|spare"):
        Bitfield(bits, length)


def test_outside_the_torrent() -> None:
    """An index or range outside the torrent is refused, and sets of different torrents do not mix."""
    for index in (-1, 8):
        with pytest.raises(IndexError, match="outside"):
            Bitfield.from_indices([index], 8)
    with pytest.raises(IndexError, match="outside"):
        Bitfield.from_ranges([PieceRange(first=0, last=8)], 8)
    with pytest.raises(ValueError, match="different torrents"):
        Bitfield.full(8) | Bitfield.full(9)


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (3, 2)])
def test_wrong_ranges(first: int, last: int) -> None:
    """A range runs forward from a real piece."""
    with pytest.raises(ValueError, match="not a piece range"):
        PieceRange(first=first, last=last)


def test_range_length() -> None:
    """Both ends of a range are in it, and ranges sort by their first piece."""
    assert len(PieceRange(first=3, last=3)) == 1
    assert PieceRange(first=1, last=9) < PieceRange(first=2, last=2)


@given(st.integers(1, 5000), st.integers(1, 300), st.data())
def test_layout(size: int, piece: int, data: st.DataObject) -> None:
    """Bytes of a range, of a set and of the whole agree with the sizes of the pieces; only the last may be short."""
    layout = Layout(total_size=Bytes(size), piece_length=Bytes(piece))
    sizes = [min(piece, size - start) for start in range(0, size, piece)]
    assert layout.num_pieces == len(sizes)
    pieces = data.draw(st.sets(st.integers(0, len(sizes) - 1)))
    assert layout.bytes_in(Bitfield.from_indices(pieces, len(sizes))) == sum(sizes[index] for index in pieces)
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(sizes) - 1)] * 2)))
    assert layout.bytes_of(PieceRange(first=first, last=last)) == sum(sizes[first : last + 1])
    assert layout.bytes_in(Bitfield.full(len(sizes))) == size


def test_layout_refuses_what_it_does_not_cut() -> None:
    """No torrent without bytes or pieces, no range or set of another torrent."""
    layout = Layout(total_size=Bytes(25), piece_length=Bytes(10))
    with pytest.raises(ValueError, match="outside"):
        layout.bytes_of(PieceRange(first=0, last=3))
    with pytest.raises(ValueError, match="is not of a torrent"):
        layout.bytes_in(Bitfield.full(4))
    for size, piece in ((0, 10), (25, 0)):
        with pytest.raises(ValueError, match="has bytes and pieces"):
            Layout(total_size=Bytes(size), piece_length=Bytes(piece))
