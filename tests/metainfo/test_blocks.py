"""Which blocks are asked: inside the segment, each once, none that could be foretold."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes, Layout, PieceRange
from smartnode.domain.proof import BLOCK_MAX_BYTES, Block, Challenge, Question
from smartnode.metainfo.blocks import choose

layouts = st.builds(
    lambda size, length: Layout(total_size=Bytes(size), piece_length=Bytes(length)),
    st.integers(1, 1 << 20),
    st.integers(1, 1 << 17),
)


@st.composite
def segments(draw: st.DrawFn) -> tuple[Layout, PieceRange]:
    """A torrent and a run of its pieces."""
    layout = draw(layouts)
    first = draw(st.integers(0, layout.num_pieces - 1))
    return layout, PieceRange(first=first, last=draw(st.integers(first, layout.num_pieces - 1)))


def cut(layout: Layout, pieces: PieceRange) -> set[Block]:
    """Every block of *pieces*, one by one."""
    found = set()
    for piece in range(pieces.first, pieces.last + 1):
        size = layout.bytes_of(PieceRange(first=piece, last=piece))
        for begin in range(0, size, BLOCK_MAX_BYTES):
            found.add(Block(piece=piece, begin=begin, length=min(BLOCK_MAX_BYTES, size - begin)))
    return found


@given(segments(), st.integers())
def test_three_different_blocks_of_the_segment_or_all_it_has(drawn: tuple[Layout, PieceRange], seed: int) -> None:
    """Blocks never leave the segment nor their piece, short last ones included, and make a valid challenge."""
    layout, pieces = drawn
    blocks = choose(layout, pieces, Random(seed))
    every = cut(layout, pieces)
    assert len(blocks) == len(set(blocks)) == min(3, len(every))
    assert set(blocks) <= every
    Challenge(
        info_hash=InfoHash("ab" * 20),
        layout=layout,
        holder=bytes(20),
        pieces=pieces,
        questions=tuple(Question(block=b, answer=bytes(b.length)) for b in blocks),
    )


def test_every_block_can_be_asked() -> None:
    """No block of a segment is safe to leave out, the short one at the end of the torrent included."""
    layout = Layout(total_size=Bytes(5 * 40_000 + 7), piece_length=Bytes(40_000))
    pieces = PieceRange(first=2, last=5)
    dice = Random(7)
    asked = {block for _ in range(200) for block in choose(layout, pieces, dice)}
    assert asked == cut(layout, pieces)
    assert Block(piece=5, begin=0, length=7) in asked
    assert Block(piece=4, begin=2 * BLOCK_MAX_BYTES, length=40_000 - 2 * BLOCK_MAX_BYTES) in asked


def test_blocks_differ_from_proof_to_proof() -> None:
    """What was recorded at one proof does not answer the next."""
    layout = Layout(total_size=Bytes(1 << 30), piece_length=Bytes(1 << 20))
    pieces = PieceRange(first=0, last=1023)
    dice = Random(1)
    asked = [frozenset(choose(layout, pieces, dice)) for _ in range(50)]
    assert len(set(asked)) == 50


def test_a_segment_beyond_the_torrent_is_refused() -> None:
    """A range that leaves the torrent is a fault of the caller."""
    layout = Layout(total_size=Bytes(10), piece_length=Bytes(4))
    with pytest.raises(ValueError, match="outside"):
        choose(layout, PieceRange(first=1, last=3), Random(1))


@pytest.mark.parametrize("blocks", [[], [0, 0], [0, 1, 2, 3], [9]])
def test_a_challenge_asks_for_little_and_inside_its_segment(blocks: list[int]) -> None:
    """None, twice the same, four, or one beyond: no such challenge exists."""
    with pytest.raises(ValueError, match="a proof asks"):
        Challenge(
            info_hash=InfoHash("ab" * 20),
            layout=Layout(total_size=Bytes(100), piece_length=Bytes(10)),
            holder=bytes(20),
            pieces=PieceRange(first=0, last=4),
            questions=tuple(Question(block=Block(piece=n, begin=0, length=4), answer=b"four") for n in blocks),
        )


def test_a_challenge_names_a_whole_id_and_whole_answers() -> None:
    """A cut id and an answer of another length are faults of the caller."""
    block = Block(piece=0, begin=0, length=4)
    with pytest.raises(ValueError, match="do not answer"):
        Question(block=block, answer=b"three")
    with pytest.raises(ValueError, match="goes by 20 bytes"):
        Challenge(
            info_hash=InfoHash("ab" * 20),
            layout=Layout(total_size=Bytes(100), piece_length=Bytes(10)),
            holder=b"short",
            pieces=PieceRange(first=0, last=4),
            questions=(Question(block=block, answer=b"four"),),
        )
