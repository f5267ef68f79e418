"""A segment is a run of whole pieces that depends on the torrent alone, so that every node cuts alike.

Segment k of a torrent is its pieces k * step to (k + 1) * step - 1; only the last segment may be shorter. Every piece
is in exactly one segment. All arrays here have one entry per segment, in order.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.pieces import Bytes, Layout, PieceRange
from smartnode.planning import protocol

MAX_PIECES = 1 << 24
"""Pieces of a torrent that planning accepts: a row may claim any numbers, and arrays follow from them."""

MAX_SIZE = 1 << 46
"""Bytes of a torrent that planning accepts (64 TiB): the same bound on segments."""


def is_plannable(layout: Layout) -> bool:
    """Claims of *layout* are within what planning may spend memory on."""
    return layout.total_size <= MAX_SIZE and layout.num_pieces <= MAX_PIECES


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A torrent cut into *count* segments of *step* pieces each."""

    layout: Layout
    step: int
    count: int

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Cut a torrent as the protocol says."""
        divided = min(layout.total_size, protocol.SEGMENTS_PER_TORRENT * protocol.SEGMENT_MAX)
        step = -(-divided // (protocol.SEGMENTS_PER_TORRENT * layout.piece_length))
        return cls(layout=layout, step=step, count=-(-layout.num_pieces // step))

    def starts(self) -> NDArray[np.int64]:
        """First piece of each segment."""
        return np.arange(self.count, dtype=np.int64) * self.step

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each segment."""
        sizes = np.full(self.count, self.step * self.layout.piece_length, dtype=np.int64)
        sizes[-1] = self.layout.total_size - (self.count - 1) * self.step * self.layout.piece_length
        return sizes

    def pieces(self, number: int) -> PieceRange:
        """Pieces of segment *number* in 0..count-1."""
        first = number * self.step
        return PieceRange(first=first, last=min(first + self.step, self.layout.num_pieces) - 1)

    def ranges(self, numbers: NDArray[np.int64]) -> tuple[PieceRange, ...]:
        """Pieces of each of the segments *numbers*."""
        first = numbers * self.step
        last = np.minimum(first + self.step, self.layout.num_pieces) - 1
        return tuple(PieceRange(first=a, last=b) for a, b in zip(first.tolist(), last.tolist(), strict=True))

    def whole(self, have: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which segments have all of their pieces in *have*, a boolean per piece."""
        return np.logical_and.reduceat(have, self.starts())

    def touched(self, have: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which segments have at least one piece in *have*."""
        return np.logical_or.reduceat(have, self.starts())

    def bytes_in(self, have: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Bytes of each segment's pieces that are in *have*."""
        counted = np.add.reduceat(have, self.starts(), dtype=np.int64) * self.layout.piece_length
        if have[-1]:
            counted[-1] -= self.layout.num_pieces * self.layout.piece_length - self.layout.total_size
        return counted

    def runs(self, kept: NDArray[np.bool_]) -> tuple[PieceRange, ...]:
        """Describe a set of pieces: each whole segment as one range, what is left as runs, ascending by first piece."""
        whole = self.whole(kept)
        stray = kept & ~np.repeat(whole, self.step)[: len(kept)]
        ranges = [self.pieces(number) for number in np.flatnonzero(whole).tolist()]
        if not stray.any():
            return tuple(ranges)
        edges = np.flatnonzero(np.diff(stray.astype(np.int8), prepend=0, append=0)).tolist()
        ranges += [PieceRange(first=a, last=b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return tuple(sorted(ranges))


def total(values: NDArray[np.int64]) -> Bytes:
    """Sum of bytes as a Python integer."""
    return Bytes(int(values.sum()))
