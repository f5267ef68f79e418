"""A rank is the same number on every node that computes it: who should hold a segment needs no coordinator.

h(n, s, e) is uniform in (0, 1) and fixed by node, segment and epoch (layout: `protocol.py`). g = -ln(-ln h) is its
Gumbel form: picking the largest ln(weight) + g draws segments in proportion to their weights, differently on each node,
so that nodes that decide at the same moment do not all fetch the same segment.
"""

import struct
from functools import lru_cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.planning import protocol

_REMEMBERED_TORRENTS = 32_768  # more than one plan walks: a smaller memory would forget each before its turn comes


def rank(node: NodeId, info_hash: InfoHash, *, segment: int, epoch: int) -> float:
    """h(n, s, e) in (0, 1), both ends excluded; *segment* < 2^32, 0 <= *epoch* < 2^64."""
    message = struct.pack(protocol.RANK_MESSAGE, node, bytes.fromhex(info_hash), segment, epoch)
    drawn = int.from_bytes(sha256(message).digest()[:8], "big") >> (64 - protocol.RANK_BITS)
    return (drawn + 0.5) / (1 << protocol.RANK_BITS)


@lru_cache(maxsize=_REMEMBERED_TORRENTS)
def fetch_ranks(node: NodeId, info_hash: InfoHash, count: int) -> NDArray[np.float64]:
    """Return g of the first *count* segments of a torrent, read-only: epoch 0 for ever, so it is remembered."""
    drawn = [rank(node, info_hash, segment=segment, epoch=protocol.FETCH_EPOCH) for segment in range(count)]
    ranks: NDArray[np.float64] = -np.log(-np.log(np.array(drawn)))
    ranks.setflags(write=False)
    return ranks
