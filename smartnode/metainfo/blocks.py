"""Which blocks a holder is asked for: three that nobody can foretell, cut as BitTorrent cuts (BEP 3: 16 KiB).

Laws: blocks lie in the segment, each is asked once, and none leaves its piece; every block of the segment is as likely
as any other, so that who kept only what was asked before fails as surely as one who kept as little at random.
"""

from random import Random

from smartnode.domain.pieces import Layout, PieceRange
from smartnode.domain.proof import BLOCK_MAX_BYTES, BLOCKS_ASKED, Block


def choose(layout: Layout, pieces: PieceRange, dice: Random) -> tuple[Block, ...]:
    """Draw three distinct blocks of *pieces*, all of them where there are fewer; ValueError when the range leaves the
    torrent. Whoever can foretell *dice* can answer without holding: use SystemRandom.
    """
    per_piece = -(-layout.piece_length // BLOCK_MAX_BYTES)
    last = layout.bytes_of(PieceRange(first=pieces.last, last=pieces.last))
    count = (len(pieces) - 1) * per_piece + -(-last // BLOCK_MAX_BYTES)
    return tuple(_block(layout, pieces, n, per_piece) for n in dice.sample(range(count), min(BLOCKS_ASKED, count)))


def _block(layout: Layout, pieces: PieceRange, number: int, per_piece: int) -> Block:
    """Return block *number* of the range, counted from 0."""
    piece = pieces.first + number // per_piece
    begin = number % per_piece * BLOCK_MAX_BYTES
    length = min(BLOCK_MAX_BYTES, layout.bytes_of(PieceRange(first=piece, last=piece)) - begin)
    return Block(piece=piece, begin=begin, length=length)
