"""The protocol's test vectors: another implementation, or a careless edit here, must meet these literals."""

from datetime import timedelta
from hashlib import sha256

import numpy as np
import pytest

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes, Layout, PieceRange
from smartnode.planning import protocol
from smartnode.planning.ranks import fetch_ranks, rank
from smartnode.planning.segments import Cut

NODE = NodeId(b"-SN0001-abcdefghijkl")
TORRENT = InfoHash("0d5255210ec3c9029b53d9cee87fb4afcfec57e1")
MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("segment", "epoch", "expected"),
    [
        (0, 0, 0.4786862403232589),
        (1, 0, 0.8914315020596618),
        (7, 246_000, 0.7275602441356256),
        (4_294_967_295, 18_446_744_073_709_551_615, 0.5162346899504512),
    ],
)
def test_rank_vectors(segment: int, epoch: int, expected: float) -> None:
    """The h of these inputs is these numbers, to the last bit."""
    assert rank(NODE, TORRENT, segment=segment, epoch=epoch) == expected


def test_rank_layout() -> None:
    """The rank hashes node id, info-hash, segment (4 bytes) and epoch (8 bytes), big-endian, and keeps 52 bits."""
    message = NODE + bytes.fromhex(TORRENT) + (7).to_bytes(4, "big") + (9).to_bytes(8, "big")
    bits = int(sha256(message).hexdigest()[:13], 16)
    assert rank(NODE, TORRENT, segment=7, epoch=9) == (bits + 0.5) / 2**52


def test_fetch_ranks_are_gumbel_of_epoch_zero() -> None:
    """The fetch rank is g = -ln(-ln h(n, s, 0)), finite at both ends of h, and not writable by who shares it."""
    ranks = fetch_ranks(NODE, TORRENT, 500)
    drawn = [rank(NODE, TORRENT, segment=segment, epoch=0) for segment in range(500)]
    assert np.allclose(ranks, [-np.log(-np.log(h)) for h in drawn])
    assert np.isfinite([-np.log(-np.log(h)) for h in (0.5 / 2**52, (2**52 - 0.5) / 2**52)]).all()
    assert not ranks.flags.writeable
    assert 0.45 < np.mean(drawn) < 0.55


@pytest.mark.parametrize(
    ("size", "piece", "step", "count"),
    [
        (27_152_883_571, 16 * MIB, 51, 32),  # a real item: 1,619 pieces
        (2_552_818_550, 16 * MIB, 5, 31),
        (1, 16 * MIB, 1, 1),
        (32 * 16 * MIB, 16 * MIB, 1, 32),
        (32 * 16 * MIB + 1, 16 * MIB, 2, 17),
        (5_000_000_000_000, 16 * MIB, 64, 4657),
        (32 * GIB, 16 * MIB, 64, 32),
        (32 * GIB + 1, 16 * MIB, 64, 33),
        (100 * GIB, 2 * GIB, 1, 50),
        (100 * GIB, 700 * MIB, 2, 74),
    ],
)
def test_segment_cut_vectors(size: int, piece: int, step: int, count: int) -> None:
    """A segment is clamp(size / 32, a piece, 1 GiB) rounded up to whole pieces."""
    cut = Cut.of(Layout(total_size=Bytes(size), piece_length=Bytes(piece)))
    assert (cut.step, cut.count) == (step, count)


def test_last_segment_vector() -> None:
    """The last segment of the real item ends with its last, short piece."""
    cut = Cut.of(Layout(total_size=Bytes(27_152_883_571), piece_length=Bytes(16 * MIB)))
    assert cut.pieces(31) == PieceRange(first=1581, last=1618)
    assert int(cut.sizes()[31]) == 27_152_883_571 - 1581 * 16 * MIB


def test_constants() -> None:
    """Epoch, quiet window and K are those of protocol version 1."""
    assert (timedelta(hours=2), timedelta(minutes=20), 2) == (protocol.EPOCH, protocol.QUIET, protocol.K)


def test_ranks_of_a_whole_catalogue_are_worked_out_once() -> None:
    """A plan walks up to 20,000 torrents in order: walked again, none of them is worked out anew."""
    torrents = [InfoHash(f"{number:040x}") for number in range(20_000)]
    for torrent in torrents:
        fetch_ranks(NODE, torrent, 1)
    before = fetch_ranks.cache_info().misses
    for torrent in torrents:
        fetch_ranks(NODE, torrent, 1)
    assert fetch_ranks.cache_info().misses == before
