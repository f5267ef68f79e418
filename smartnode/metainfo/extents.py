"""Pieces become byte runs of files, exactly: a byte that a kept piece needs is in no run that is punched.

Pure. A torrent's files lie one after another (BEP 3), so a piece may end one file and begin the next. Holes free whole
file-system blocks only: a run is cut inward to 4 KiB, except at the end of a file, where no other piece follows.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smartnode.domain.pieces import Bitfield, PieceRange
from smartnode.domain.proof import Block
from smartnode.metainfo.read import Metainfo, TorrentFile

BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes *start* to *end* (excluded) of *file*, counted from the file's own first byte."""

    file: TorrentFile
    start: int
    end: int


def spans(metainfo: Metainfo, pieces: Iterable[PieceRange]) -> Iterator[Span]:
    """Yield the file bytes of *pieces* in torrent order; pad files and empty files have none."""
    length, total = metainfo.layout.piece_length, metainfo.layout.total_size
    offsets = [file.offset for file in metainfo.files]
    for run in pieces:
        yield from _between(metainfo, offsets, run.first * length, min((run.last + 1) * length, total))


def spans_of(metainfo: Metainfo, blocks: Iterable[Block]) -> Iterator[tuple[Block, list[Span]]]:
    """Yield each of *blocks* with its file bytes in torrent order; what lies in a pad file is in no span."""
    offsets = [file.offset for file in metainfo.files]
    for block in blocks:
        first = first_byte(metainfo, block)
        yield block, list(_between(metainfo, offsets, first, first + block.length))


def first_byte(metainfo: Metainfo, block: Block) -> int:
    """Return where *block* begins in the torrent."""
    return block.piece * metainfo.layout.piece_length + block.begin


def runs_to_punch(metainfo: Metainfo, *, kept: Bitfield, touched: Bitfield) -> dict[TorrentFile, list[tuple[int, int]]]:
    """Return the (offset, length) runs per file that hold no byte of *kept* and lie in stretches that meet *touched*.

    A stretch is a maximal run of pieces that are not kept: punching it whole frees the blocks at the seams of earlier
    evictions too, and what is a hole already costs nothing.
    """
    gone = Bitfield.full(kept.length) - kept
    affected = touched.to_array()
    stretches = [run for run in gone.ranges() if bool(np.any(affected[run.first : run.last + 1]))]
    found: dict[TorrentFile, list[tuple[int, int]]] = {}
    for span in spans(metainfo, stretches):
        start = -(-span.start // BLOCK) * BLOCK
        whole_end = span.end == span.file.size
        end = -(-span.end // BLOCK) * BLOCK if whole_end else span.end // BLOCK * BLOCK
        if start < end:
            found.setdefault(span.file, []).append((start, end - start))
    return found


def _between(metainfo: Metainfo, offsets: Sequence[int], first: int, last: int) -> Iterator[Span]:
    """Yield the file bytes of the torrent's bytes *first* to *last* (excluded); *offsets* are those of its files."""
    index = max(0, bisect_right(offsets, first) - 1)
    while index < len(offsets) and offsets[index] < last:
        file = metainfo.files[index]
        start, end = max(first - file.offset, 0), min(last - file.offset, file.size)
        if start < end:
            yield Span(file=file, start=start, end=end)
        index += 1
