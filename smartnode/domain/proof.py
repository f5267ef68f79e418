"""What a holder is asked to prove, and how that ended: a verdict is about the claim, and never a guess.

LIAR needs a contradiction, ABSENT the holder's own word; everything else that is not a proof is UNKNOWN.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from smartnode.domain.identity import NODE_ID_LENGTH, InfoHash
from smartnode.domain.pieces import Layout, PieceRange

BLOCK_MAX_BYTES = 16 << 10
"""What one request may ask for (BEP 3); libtorrent refuses more."""
BLOCKS_ASKED = 3


class Verdict(StrEnum):
    """What was learned about the claim of a holder."""

    PROVED = "proved"  # it served our blocks
    ABSENT = "absent"  # it says itself that it lacks a piece of the segment
    LIAR = "liar"  # it contradicts itself, or its bytes are not ours
    UNKNOWN = "unknown"  # nothing was learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a proof ended; *reason* is one line."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Block:
    """Bytes *begin* to *begin* + *length* - 1 of *piece*."""

    piece: int
    begin: int
    length: int

    def __str__(self) -> str:
        """``piece 7 from byte 16384``."""
        return f"piece {self.piece} from byte {self.begin}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One block of 1 to 16,384 bytes, and the bytes as our own verified copy has them."""

    block: Block
    answer: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.answer) != self.block.length or not 0 < self.block.length <= BLOCK_MAX_BYTES:
            message = f"{len(self.answer)} bytes do not answer {self.block}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What *holder* (its peer id, 20 bytes) is to prove: that it holds all of *pieces*, a segment of the torrent.

    One to three *questions*, each about another block of *pieces*.
    """

    info_hash: InfoHash
    layout: Layout
    holder: bytes
    pieces: PieceRange
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        blocks = {q.block for q in self.questions}
        inside = all(self.pieces.first <= b.piece <= self.pieces.last < self.layout.num_pieces for b in blocks)
        if not 0 < len(self.questions) <= BLOCKS_ASKED or len(blocks) != len(self.questions) or not inside:
            message = (
                f"a proof asks for one to {BLOCKS_ASKED} blocks of its segment, each once, not for {sorted(blocks)}"
            )
            raise ValueError(message)
        if len(self.holder) != NODE_ID_LENGTH:
            message = f"a holder goes by {NODE_ID_LENGTH} bytes, not {len(self.holder)}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """Who lied, and when. *peer_id*: 20 bytes; *network*: its /24 or /48; *reason*: one line."""

    peer_id: bytes
    network: str
    at: datetime
    reason: str
