"""The UDP tracker protocol, bytes only: requests out, answers in, nothing trusted (BEP 15).

Laws: an answer that is cut, of another action or not a whole number of peers is a SwarmError; ``error`` is a
TrackerRefusal; a figure that cannot be a count is None. BEP 15 has no word for "I do not know this torrent": trackers
answer 0, 0, 0 then (measured: Debian's opentracker), so three zeros are unknown, not a count.
"""

import struct
from collections.abc import Sequence

from smartnode.domain.identity import InfoHash
from smartnode.errors import SwarmError
from smartnode.swarm.answers import INTERVAL_MAX_S, Announced, Counts, TrackerRefusal, plausible
from smartnode.swarm.compact import compact4, compact6
from smartnode.swarm.wire import printable

CONNECT, ANNOUNCE, SCRAPE, ERROR = 0, 1, 2, 3
STARTED, STOPPED = 2, 3
NOBODY_DIALS = 1
"""The port that we are listed under for the moment of a look-up."""
PEERS_WANTED = 50
PEERS_MAX = 200
DATAGRAM_MAX = 2048
_PROTOCOL_ID = 0x41727101980
_HEAD, _CONNECTED = struct.Struct(">II"), struct.Struct(">IIQ")
_ANNOUNCED, _COUNTS = struct.Struct(">IIiII"), struct.Struct(">iii")


def connect(transaction: int) -> bytes:
    """Return the request for a connection id."""
    return struct.pack(">QII", _PROTOCOL_ID, CONNECT, transaction)


def announce(
    connection: int, transaction: int, *, info_hash: InfoHash, peer_id: bytes, left: int, event: int, key: int
) -> bytes:
    """Return an announce that lists port 1 and asks for 50 peers."""
    head = struct.pack(">QII", connection, ANNOUNCE, transaction)
    body = struct.pack(">QQQIIIiH", 0, left, 0, event, 0, key, PEERS_WANTED, NOBODY_DIALS)
    return head + bytes.fromhex(info_hash) + peer_id + body


def scrape(connection: int, transaction: int, hashes: Sequence[InfoHash]) -> bytes:
    """Return the request for the counts of *hashes*."""
    return struct.pack(">QII", connection, SCRAPE, transaction) + b"".join(map(bytes.fromhex, hashes))


def transaction_of(raw: bytes) -> int | None:
    """Return which request *raw* answers; None when it is too short to say."""
    return None if len(raw) < _HEAD.size else int(_HEAD.unpack_from(raw)[1])


def parse_connect(raw: bytes) -> int:
    """Return the connection id."""
    _expect(raw, CONNECT, _CONNECTED.size)
    return int(_CONNECTED.unpack_from(raw)[2])


def parse_announce(raw: bytes, *, ipv6: bool) -> Announced:
    """Return the peers; they are of the family that the question went by."""
    _expect(raw, ANNOUNCE, _ANNOUNCED.size)
    interval = int(_ANNOUNCED.unpack_from(raw)[2])
    if interval < 0:
        message = f"the tracker wants to be asked again in {interval} s"
        raise SwarmError(message)
    peers = (compact6 if ipv6 else compact4)(raw[_ANNOUNCED.size :], PEERS_MAX)
    return Announced(peers=tuple(peers), interval_s=min(interval, INTERVAL_MAX_S))


def parse_scrape(raw: bytes, hashes: Sequence[InfoHash]) -> dict[InfoHash, Counts | None]:
    """Return the counts as far as the answer goes, None for a torrent that the tracker does not know; *hashes* in the
    order in which they were asked.
    """
    _expect(raw, SCRAPE, _HEAD.size)
    found: dict[InfoHash, Counts | None] = {}
    for place, info_hash in enumerate(hashes[: (len(raw) - _HEAD.size) // _COUNTS.size]):
        complete, downloaded, incomplete = _COUNTS.unpack_from(raw, _HEAD.size + place * _COUNTS.size)
        known = complete or downloaded or incomplete
        found[info_hash] = (
            Counts(complete=plausible(complete), incomplete=plausible(incomplete), downloaded=plausible(downloaded))
            if known
            else None
        )
    return found


def _expect(raw: bytes, action: int, least: int) -> None:
    said = _HEAD.unpack_from(raw)[0] if len(raw) >= _HEAD.size else None
    if said == ERROR:
        message = f"the tracker refuses: {printable(raw[_HEAD.size :]) or 'no reason given'}"
        raise TrackerRefusal(message)
    if said == action and len(raw) == _HEAD.size < least:
        message = "the tracker does not serve this torrent"  # measured: opentracker answers so
        raise TrackerRefusal(message)
    if said != action or len(raw) < least:
        message = f"the tracker's answer of {len(raw)} bytes is not what was asked for"
        raise SwarmError(message)
