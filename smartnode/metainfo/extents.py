"""Pieces become byte runs of files, exactly: a byte that a kept piece needs is in no run that is punched.

Pure. A torrent's files lie one after another (BEP 3), so a piece may end one file and begin the next. Holes free whole
file-system blocks only: a run is cut inward to 4 KiB, except at the end of a file, where no other piece follows.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from smartnode.domain.pieces import Bitfield, PieceRange
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
    offsets = [file.offset for file in metainfo.files]
    length, total = metainfo.layout.piece_length, metainfo.layout.total_size
    for run in pieces:
        first, last = run.first * length, min((run.last + 1) * length, total)
        index = max(0, bisect_right(offsets, first) - 1)
        while index < len(offsets) and offsets[index] < last:
            file = metainfo.files[index]
            start, end = max(first - file.offset, 0), min(last - file.offset, file.size)
            if start < end:
                yield Span(file=file, start=start, end=end)
            index += 1


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
