"""A piece that the disk cannot hold is not offered: resume data is trusted blindly by libtorrent, so it is checked here
before it is used.

Cheap: one stat and one walk over the holes per file. A piece is lost when its file is missing, not a regular file, too
short, or has a hole in it; a hole may also be genuine zeros (file systems that compress), so those pieces are hashed.
Changed bytes inside a file are not seen by this check.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import libtorrent as lt
import numpy as np

from smartnode.domain.pieces import Bitfield, PieceRange
from smartnode.errors import MetainfoError
from smartnode.metainfo.extents import spans
from smartnode.metainfo.read import LIMITS, Metainfo, TorrentFile

_CHUNK = 1 << 20
_SECTOR = 512
_SHARE = 5


def lost_pieces(folder: Path, metainfo: Metainfo, have: Bitfield) -> Bitfield:
    """Return the pieces of *have* that the files below *folder* cannot hold. Blocking: call it in a thread."""
    suspect, absent = np.zeros(have.length, dtype=np.bool_), np.zeros(have.length, dtype=np.bool_)
    length = metainfo.layout.piece_length
    needed: dict[TorrentFile, int] = {}
    for span in spans(metainfo, have.ranges()):
        needed[span.file] = max(needed.get(span.file, 0), span.end)
    for file, end in needed.items():
        for start, stop, certain in _gaps(folder / file.path, end):
            first, last = (file.offset + start) // length, (file.offset + stop - 1) // length
            (absent if certain else suspect)[first : last + 1] = True
    lost = absent & have.to_array()
    doubtful = np.flatnonzero(suspect & have.to_array() & ~lost).tolist()
    torrent = _v1_torrent(metainfo) if doubtful else None
    for piece in doubtful:
        lost[piece] = torrent is None or _hash_of(folder, metainfo, piece) != torrent.hash_for_piece(piece)
    return Bitfield.from_array(lost)


def present_pieces(folder: Path, metainfo: Metainfo) -> Bitfield:
    """Return the pieces that the files below *folder* hold with the right hash, reading only what is allocated.

    None of a v2-only torrent, which has no hash per piece in its info dictionary. Blocking: call it in a thread.
    """
    count, length = metainfo.layout.num_pieces, metainfo.layout.piece_length
    there = np.zeros(count, dtype=np.bool_)
    torrent = _v1_torrent(metainfo)
    if torrent is None:
        return Bitfield.from_array(there)
    there[:] = True
    for span in spans(metainfo, [PieceRange(first=0, last=count - 1)]):
        for start, stop, _ in _gaps(folder / span.file.path, span.file.size):
            first, last = (span.file.offset + start) // length, (span.file.offset + stop - 1) // length
            there[first : last + 1] = False
    for piece in np.flatnonzero(there).tolist():
        there[piece] = _hash_of(folder, metainfo, piece) == torrent.hash_for_piece(piece)
    return Bitfield.from_array(there)


def worth_hashing(folder: Path, metainfo: Metainfo) -> bool:
    """Say whether so much of the torrent lies there that hashing it all is no waste: a fifth of it is allocated.

    A hole is hashed about five times as fast as a disk is read, so the holes at most double the time. Blocking.
    """
    allocated = 0
    for file in metainfo.files:
        try:
            allocated += (folder / file.path).lstat().st_blocks * _SECTOR
        except OSError:
            continue
    return allocated * _SHARE >= metainfo.layout.total_size


def _gaps(path: Path, needed: int) -> Iterator[tuple[int, int, bool]]:
    """Yield (start, end, certainly lost) of what is not there in the first *needed* bytes of the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield 0, needed, True
        return
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            yield 0, needed, True
            return
        if status.st_size < needed:
            yield status.st_size, needed, True
        yield from ((start, end, False) for start, end in _holes(descriptor, min(needed, status.st_size)))
    finally:
        os.close(descriptor)


def _holes(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        start = os.lseek(descriptor, at, os.SEEK_HOLE)
        if start >= size:
            return
        try:
            end = min(os.lseek(descriptor, start, os.SEEK_DATA), size)
        except OSError:  # ENXIO: no data after the hole
            end = size
        yield start, end
        at = end


def _hash_of(folder: Path, metainfo: Metainfo, piece: int) -> bytes | None:
    """Read and hash one piece (SHA-1); None when it cannot be read."""
    found = hashlib.sha1(usedforsecurity=False)
    run = PieceRange(first=piece, last=piece)
    covered = 0
    try:
        for span in spans(metainfo, [run]):
            with (folder / span.file.path).open("rb") as file:
                file.seek(span.start)
                left = span.end - span.start
                while left and (chunk := file.read(min(_CHUNK, left))):
                    found.update(chunk)
                    left -= len(chunk)
            covered += span.end - span.start - left
    except OSError:
        return None
    # A pad file behind the last span counts as zeros in the v1 hash (BEP 47).
    found.update(bytes(metainfo.layout.bytes_of(run) - covered))
    return found.digest()


def _v1_torrent(metainfo: Metainfo) -> lt.torrent_info | None:
    """Return the info dictionary with its piece hashes; None for a v2-only torrent, which has none per piece."""
    if metainfo.info_hash_v1 is None:
        return None
    try:
        return lt.load_torrent_buffer(metainfo.raw, LIMITS).ti
    except RuntimeError as error:
        message = f"a .torrent that was checked before cannot be read again: {error}"
        raise MetainfoError(message) from error
