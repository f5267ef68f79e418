"""A cut is a partition of a torrent's pieces, and its arithmetic agrees with counting piece by piece."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.planning.segments import MAX_PIECES, MAX_SIZE, Cut, is_plannable

layouts = st.builds(
    lambda size, piece: Layout(total_size=Bytes(size), piece_length=Bytes(piece)),
    st.integers(1, 3000),
    st.integers(1, 200),
)


@given(layouts)
def test_partition(layout: Layout) -> None:
    """Every piece is in exactly one segment, in order, and sizes add up to the torrent."""
    cut = Cut.of(layout)
    pieces = [index for number in range(cut.count) for index in _indices(cut, number)]
    assert pieces == list(range(layout.num_pieces))
    assert cut.sizes().tolist() == [layout.bytes_of(cut.pieces(number)) for number in range(cut.count)]
    assert int(cut.sizes().sum()) == layout.total_size


@given(st.data(), layouts)
def test_segment_sums(data: st.DataObject, layout: Layout) -> None:
    """whole, touched and bytes_in say what a loop over the pieces says; runs describe exactly the set."""
    cut = Cut.of(layout)
    have = np.array(data.draw(st.lists(st.booleans(), min_size=layout.num_pieces, max_size=layout.num_pieces)))
    held = set(np.flatnonzero(have).tolist())
    segments = [set(_indices(cut, number)) for number in range(cut.count)]
    assert cut.whole(have).tolist() == [segment <= held for segment in segments]
    assert cut.touched(have).tolist() == [bool(segment & held) for segment in segments]
    sizes = [sum(_piece_size(layout, index) for index in segment & held) for segment in segments]
    assert cut.bytes_in(have).tolist() == sizes
    runs = cut.runs(have)
    assert Bitfield.from_ranges(runs, layout.num_pieces) == Bitfield.from_array(have)
    assert sum(len(run) for run in runs) == len(held)
    assert {run for run in runs if len(run) == cut.step} >= {
        cut.pieces(number)
        for number in range(cut.count)
        if segments[number] <= held and len(segments[number]) == cut.step
    }


def test_claims_are_bounded() -> None:
    """A row cannot make planning allocate for more pieces or bytes than a torrent may have."""
    assert is_plannable(Layout(total_size=Bytes(MAX_SIZE), piece_length=Bytes(1 << 24)))
    assert not is_plannable(Layout(total_size=Bytes(MAX_SIZE + 1), piece_length=Bytes(1 << 24)))
    assert is_plannable(Layout(total_size=Bytes(MAX_PIECES), piece_length=Bytes(1)))
    assert not is_plannable(Layout(total_size=Bytes(MAX_PIECES + 1), piece_length=Bytes(1)))


def _indices(cut: Cut, number: int) -> range:
    pieces = cut.pieces(number)
    return range(pieces.first, pieces.last + 1)


def _piece_size(layout: Layout, index: int) -> int:
    return min(layout.piece_length, layout.total_size - index * layout.piece_length)
