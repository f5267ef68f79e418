"""What a piece must hash to, as the .torrent says it, and the way to hash it without libtorrent.

v1 and hybrid: SHA-1 over the piece's bytes, the zeros of pad files (BEP 47) included. v2 alone (BEP 52): the root of a
SHA-256 tree over blocks of 16 KiB; a piece lies in one file, leaves beyond its end are 32 zero bytes. libtorrent checks
the piece layers against the info dictionary while it reads them, so both kinds are as good as the info-hash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import libtorrent as lt

from smartnode.errors import MetainfoError
from smartnode.metainfo.read import LIMITS, Metainfo

BLOCK = 16 << 10
_NO_LEAF = bytes(32)
_DIGEST = 32


class Hasher(Protocol):
    """Takes a piece in order, in cuts of any length."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        ...

    def digest(self) -> bytes:
        """Return the hash of all bytes taken."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceHash:
    """What one piece must hash to. *leaves* None: SHA-1; otherwise the leaves of its tree, a power of two."""

    digest: bytes
    leaves: int | None = None

    def hasher(self) -> Hasher:
        """Return a fresh hasher of this kind."""
        return hashlib.sha1(usedforsecurity=False) if self.leaves is None else TreeHasher(self.leaves)


class TreeHasher:
    """The SHA-256 tree of BEP 52 over at most *leaves* blocks; memory is one block and its leaves."""

    def __init__(self, leaves: int) -> None:
        """Begin with no byte taken."""
        self._leaves = leaves
        self._block = bytearray()
        self._hashes: list[bytes] = []

    def update(self, data: bytes, /) -> None:
        """Take the next bytes; ValueError when they are more than the leaves hold."""
        self._block += data
        while len(self._block) >= BLOCK:
            self._leaf(bytes(self._block[:BLOCK]))
            del self._block[:BLOCK]

    def digest(self) -> bytes:
        """Return the root; the last block may be short, and nothing can be taken afterwards."""
        if self._block:
            self._leaf(bytes(self._block))
            self._block.clear()
        row = self._hashes + [_NO_LEAF] * (self._leaves - len(self._hashes))
        while len(row) > 1:
            row = [hashlib.sha256(row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
        return row[0]

    def _leaf(self, block: bytes) -> None:
        if len(self._hashes) == self._leaves:
            message = f"a piece of {self._leaves} blocks has no more bytes"
            raise ValueError(message)
        self._hashes.append(hashlib.sha256(block).digest())


def piece_hashes(metainfo: Metainfo, indices: Sequence[int]) -> tuple[PieceHash, ...]:
    """Return the hashes of the pieces, in order; MetainfoError when the .torrent does not hold one of them.

    Reads the whole .torrent: a millisecond for thousands of pieces, a tenth of a second for two million.
    """
    if any(not 0 <= index < metainfo.layout.num_pieces for index in indices):
        message = f"a torrent of {metainfo.layout.num_pieces} pieces has no piece {max(indices)}"
        raise MetainfoError(message)
    try:
        torrent = lt.load_torrent_buffer(metainfo.raw, LIMITS).ti
        if torrent is None:
            message = "the metainfo holds no info dictionary"
            raise MetainfoError(message)
        if metainfo.info_hash_v1 is not None:
            return tuple(PieceHash(digest=bytes(torrent.hash_for_piece(index))) for index in indices)
        decoded: Any = lt.bdecode(metainfo.raw)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        message = f"the piece hashes cannot be read: {error}"
        raise MetainfoError(message) from error
    layers = decoded.get(b"piece layers", {})
    return tuple(_tree_hash(metainfo, torrent.layout(), layers, index) for index in indices)


def _tree_hash(metainfo: Metainfo, layout: Any, layers: dict[bytes, bytes], index: int) -> PieceHash:
    length = metainfo.layout.piece_length
    file = layout.file_index_at_offset(index * length)
    size, root = layout.file_size(file), layout.root(file).to_bytes()
    if size <= length:
        blocks = -(-size // BLOCK)
        return PieceHash(digest=root, leaves=1 << (blocks - 1).bit_length())
    at = (index * length - layout.file_offset(file)) // length * _DIGEST
    digest = layers.get(root, b"")[at : at + _DIGEST]
    if len(digest) != _DIGEST:
        message = f"the .torrent holds no hash of piece {index}"
        raise MetainfoError(message, cure="ask the publisher for a .torrent file with its piece layers")
    return PieceHash(digest=digest, leaves=length // BLOCK)
