"""Constants that every node of a network shares: another value here is another network, and needs another network id.

- The segment cut: a segment is clamp(total size / 32, one piece, 1 GiB) long, rounded up to whole pieces and counted
  from piece 0; `segments.py` cuts by it.
- The rank h(n, s, e): SHA-256 over 52 bytes, big-endian: node id (20), info-hash (20), segment number (4), epoch (8).
  The first 52 bits x of the digest give h = (x + 1/2) / 2^52, which a double holds exactly and which is never 0 or 1.
- The epoch of the guard, its quiet window, and how many better-ranked holders an eviction needs.

tests/planning/test_protocol.py holds the test vectors: they must pass unchanged in every implementation.
"""

from datetime import timedelta
from typing import Final

SEGMENTS_PER_TORRENT: Final = 32
"""A small torrent is cut into about this many segments."""

SEGMENT_MAX: Final = 1 << 30
"""Bytes that a segment has at most, before rounding up to whole pieces (simulated loss at C/S 2: 1 GiB 1.001)."""

RANK_MESSAGE: Final = ">20s20sIQ"
"""struct layout of the hashed message: node id, info-hash, segment number, epoch."""

RANK_BITS: Final = 52
"""Bits of the digest in use: one more would let h round to 1.0 in a double."""

FETCH_EPOCH: Final = 0
"""The fetch rank uses this epoch for ever; only the guard uses the current one."""

EPOCH: Final = timedelta(hours=2)
"""T_ep: epoch = floor(unix time / T_ep)."""

SWAP_PERIOD: Final = timedelta(hours=1)
"""A full node exchanges segments once in this time."""

HOLDER_AGE_SWAP: Final = timedelta(hours=12)
"""How long a holder was seen with a segment before an exchange may rely on it."""

HOLDER_AGE_SHRINK: Final = timedelta(hours=24)
"""The same after a lowered quota, where one holder is enough."""

QUIET: Final = timedelta(minutes=20)
"""Q: how long after an epoch began nothing is evicted; above the age of any view that the guard may use."""

K: Final = 2
"""Better-ranked, proved smartnode holders that an eviction needs."""
