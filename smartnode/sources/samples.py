"""What a mirror is asked for to prove itself: a byte of the largest file, and whole pieces that nobody can foretell.

A few pieces are drawn when a torrent is registered, and its .torrent is not kept: a few kilobytes stay instead of
megabytes of hashes. The draws are used in turn, so that no piece is asked twice in a row.
"""

import random
from dataclasses import dataclass
from pathlib import PurePosixPath

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import PieceRange
from smartnode.errors import SourceError
from smartnode.metainfo.addresses import takes_folders
from smartnode.metainfo.extents import spans
from smartnode.metainfo.hashes import PieceHash, piece_hashes
from smartnode.metainfo.read import Metainfo

SAMPLES = 4
PARTS_MAX = 64
_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes *start* to *end* (excluded) of the file *path* of *size* bytes, after *zeros* bytes of a pad file."""

    path: PurePosixPath
    size: int
    start: int
    end: int
    zeros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One piece: its hash, and the parts of files that it is made of; *zeros*: bytes of pad files at its end."""

    index: int
    hash: PieceHash
    parts: tuple[Part, ...]
    zeros: int = 0

    @property
    def size(self) -> int:
        """Bytes that are asked for."""
        return sum(part.end - part.start for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What web seeds of one torrent are asked for. *folder*: they are asked as folders (BEP 19). *anchor*: a byte of
    the largest file, whose length and validators stand for the whole.
    """

    info_hash: InfoHash
    folder: bool
    anchor: Part
    samples: tuple[Sample, ...]


def proof_of(metainfo: Metainfo, dice: random.Random) -> Proof:
    """Draw the pieces that web seeds of the torrent are asked for.

    MetainfoError when the .torrent lacks their hashes; SourceError when each of them lies in more than 64 files.
    """
    count = metainfo.layout.num_pieces
    drawn = dice.sample(range(count), min(count, SAMPLES * _TRIES))
    cuts = [(index, *_parts(metainfo, index)) for index in drawn]
    fit = [cut for cut in cuts if 0 < len(cut[1]) <= PARTS_MAX][:SAMPLES]
    if not fit:
        message = f"a piece of this torrent lies in more than {PARTS_MAX} files, too many requests for a web seed"
        raise SourceError(message)
    hashes = piece_hashes(metainfo, [index for index, _, _ in fit])
    largest = max(metainfo.files, key=lambda file: file.size)
    return Proof(
        info_hash=metainfo.info_hash,
        folder=takes_folders(metainfo),
        anchor=Part(path=largest.path, size=largest.size, start=0, end=1),
        samples=tuple(
            Sample(index=index, hash=digest, parts=parts, zeros=zeros)
            for (index, parts, zeros), digest in zip(fit, hashes, strict=True)
        ),
    )


def _parts(metainfo: Metainfo, index: int) -> tuple[tuple[Part, ...], int]:
    """Return the parts of one piece and the zeros after the last; a v2 piece (BEP 52) has no pad bytes in its hash."""
    at = index * metainfo.layout.piece_length
    ends = min(at + metainfo.layout.piece_length, metainfo.layout.total_size)
    padded = metainfo.info_hash_v1 is not None
    parts: list[Part] = []
    for span in spans(metainfo, [PieceRange(first=index, last=index)]):
        begins = span.file.offset + span.start
        parts.append(
            Part(
                path=span.file.path,
                size=span.file.size,
                start=span.start,
                end=span.end,
                zeros=begins - at if padded else 0,
            )
        )
        at = begins + span.end - span.start
    return tuple(parts), ends - at if padded else 0
