"""A piece is an index into one torrent; a bitfield knows its length; sizes are bytes.

Laws: indices are 0-based and ranges inclusive at both ends; bit 0 of a bitfield is the high bit of byte 0 (BEP 3) and
spare bits are zero, so equal sets are equal values; the last piece is the only one that may be short.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NewType, Self

import numpy as np
from numpy.typing import NDArray

Bytes = NewType("Bytes", int)
PieceIndex = NewType("PieceIndex", int)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PieceRange:
    """Pieces *first* to *last*, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            message = f"not a piece range: {self.first}..{self.last}"
            raise ValueError(message)

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a torrent of *total_size* bytes (> 0) is cut into pieces of *piece_length* bytes (> 0)."""

    total_size: Bytes
    piece_length: Bytes

    def __post_init__(self) -> None:
        if self.total_size <= 0 or self.piece_length <= 0:
            message = f"a torrent has bytes and pieces: size {self.total_size}, piece length {self.piece_length}"
            raise ValueError(message)

    @property
    def num_pieces(self) -> int:
        """Pieces of the torrent, at least 1."""
        return -(-self.total_size // self.piece_length)

    def bytes_of(self, pieces: PieceRange) -> Bytes:
        """Bytes in *pieces*; ValueError when the range leaves the torrent."""
        if pieces.last >= self.num_pieces:
            message = f"piece {pieces.last} is outside a torrent of {self.num_pieces} pieces"
            raise ValueError(message)
        end = min((pieces.last + 1) * self.piece_length, self.total_size)
        return Bytes(end - pieces.first * self.piece_length)

    def bytes_in(self, pieces: "Bitfield") -> Bytes:
        """Bytes in all the pieces of the set; ValueError when it is not of this torrent's length."""
        if pieces.length != self.num_pieces:
            message = f"a bitfield of {pieces.length} pieces is not of a torrent of {self.num_pieces}"
            raise ValueError(message)
        short = self.num_pieces * self.piece_length - self.total_size if (self.num_pieces - 1) in pieces else 0
        return Bytes(pieces.count() * self.piece_length - short)


@dataclass(frozen=True, slots=True)
class Bitfield:
    """An immutable set of pieces out of *length*; *bits* is laid out as on the wire (BEP 3)."""

    bits: bytes
    length: int

    def __post_init__(self) -> None:
        if self.length < 0 or len(self.bits) != (self.length + 7) // 8:
            message = f"{len(self.bits)} bytes do not hold {self.length} pieces"
            raise ValueError(message)
        spare = len(self.bits) * 8 - self.length
        if spare and self.bits[-1] & ((1 << spare) - 1):
            message = "spare bits of a bitfield must be zero"
            raise ValueError(message)

    @classmethod
    def empty(cls, length: int) -> Self:
        """No piece out of *length*."""
        return cls(bytes((length + 7) // 8), length)

    @classmethod
    def full(cls, length: int) -> Self:
        """Every piece out of *length*."""
        return cls.from_array(np.ones(length, dtype=np.bool_))

    @classmethod
    def from_array(cls, have: NDArray[np.bool_]) -> Self:
        """From one boolean per piece, shape (length,)."""
        return cls(np.packbits(have).tobytes(), len(have))

    @classmethod
    def from_indices(cls, indices: Iterable[int], length: int) -> Self:
        """From piece indices; IndexError when one is outside 0..length-1."""
        have = np.zeros(length, dtype=np.bool_)
        for index in indices:
            if not 0 <= index < length:
                message = f"piece {index} is outside a torrent of {length} pieces"
                raise IndexError(message)
            have[index] = True
        return cls.from_array(have)

    @classmethod
    def from_ranges(cls, ranges: Iterable[PieceRange], length: int) -> Self:
        """From inclusive ranges; IndexError when one leaves the torrent."""
        have = np.zeros(length, dtype=np.bool_)
        for pieces in ranges:
            if pieces.last >= length:
                message = f"piece {pieces.last} is outside a torrent of {length} pieces"
                raise IndexError(message)
            have[pieces.first : pieces.last + 1] = True
        return cls.from_array(have)

    def to_array(self) -> NDArray[np.bool_]:
        """One boolean per piece, shape (length,); a fresh array."""
        return np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8), count=self.length).astype(np.bool_)

    def indices(self) -> list[int]:
        """Return the pieces in the set, ascending."""
        found: list[int] = np.flatnonzero(self.to_array()).tolist()
        return found

    def ranges(self) -> list[PieceRange]:
        """Return the set as maximal runs, ascending."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], self.to_array(), [False])).astype(np.int8)))
        return [PieceRange(first=int(a), last=int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def count(self) -> int:
        """How many pieces are in the set."""
        return int.from_bytes(self.bits, "big").bit_count()

    def covers(self, pieces: PieceRange) -> bool:
        """Every piece of the range is in the set."""
        return pieces.last < self.length and bool(self.to_array()[pieces.first : pieces.last + 1].all())

    def __contains__(self, index: int) -> bool:
        return 0 <= index < self.length and bool(self.bits[index >> 3] & (0x80 >> (index & 7)))

    def __or__(self, other: "Bitfield") -> "Bitfield":
        return self._merge(other, lambda a, b: a | b)

    def __and__(self, other: "Bitfield") -> "Bitfield":
        return self._merge(other, lambda a, b: a & b)

    def __sub__(self, other: "Bitfield") -> "Bitfield":
        return self._merge(other, lambda a, b: a & ~b)

    def _merge(self, other: "Bitfield", op: Callable[[int, int], int]) -> "Bitfield":
        if self.length != other.length:
            message = f"bitfields of {self.length} and {other.length} pieces are of different torrents"
            raise ValueError(message)
        merged = op(int.from_bytes(self.bits, "big"), int.from_bytes(other.bits, "big"))
        return Bitfield(merged.to_bytes(len(self.bits), "big"), self.length)
