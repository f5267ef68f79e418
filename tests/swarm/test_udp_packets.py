"""The UDP tracker protocol: what strangers send becomes an answer, a refusal or a SwarmError, nothing else."""

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.domain.tracker import COUNT_MAX
from smartnode.errors import SwarmError
from smartnode.swarm import udp_packets
from smartnode.swarm.answers import Announced, Counts, TrackerRefusal

HASHES = [InfoHash(f"{n:040x}") for n in range(1, 4)]


def test_requests_are_laid_out_as_bep_15_says() -> None:
    """Connect is 16 bytes, announce 98 with port 1 and 50 wanted, scrape 16 and 20 for each torrent."""
    assert udp_packets.connect(7) == bytes.fromhex("0000041727101980") + struct.pack(">II", 0, 7)
    packet = udp_packets.announce(
        5, 7, info_hash=HASHES[0], peer_id=b"-SN0001-abcdefghijkl", left=9, event=udp_packets.STARTED, key=3
    )
    assert len(packet) == 98
    assert struct.unpack(">QII20s20sQQQIIIiH", packet) == (
        5, 1, 7, bytes.fromhex(HASHES[0]), b"-SN0001-abcdefghijkl", 0, 9, 0, 2, 0, 3, 50, 1
    )  # fmt: skip
    assert len(udp_packets.scrape(5, 7, HASHES)) == 76


@given(st.binary(max_size=200))
def test_any_datagram_becomes_an_answer_or_a_swarm_error(raw: bytes) -> None:
    """No bytes of a stranger raise anything but SwarmError, whatever was asked."""
    readers: list[Callable[[], object]] = [
        lambda: udp_packets.parse_connect(raw),
        lambda: udp_packets.parse_announce(raw, ipv6=False),
        lambda: udp_packets.parse_announce(raw, ipv6=True),
        lambda: udp_packets.parse_scrape(raw, HASHES),
    ]
    for read in readers:
        with contextlib.suppress(SwarmError):
            read()
    assert (udp_packets.transaction_of(raw) is None) == (len(raw) < 8)


@given(st.lists(st.tuples(*(st.integers(-(2**31), 2**31 - 1),) * 3), min_size=3, max_size=3))
def test_counts_are_plausible_or_none(said: list[tuple[int, int, int]]) -> None:
    """-65000 and 10^9 are None, never 0 and never believed; three zeros mean that the torrent is not known."""
    raw = struct.pack(">II", 2, 1) + b"".join(struct.pack(">iii", *entry) for entry in said)

    def fits(value: int) -> int | None:
        return value if 0 <= value <= COUNT_MAX else None

    expected = [
        Counts(complete=fits(c), incomplete=fits(i), downloaded=fits(d)) if (c, d, i) != (0, 0, 0) else None
        for c, d, i in said
    ]
    assert list(udp_packets.parse_scrape(raw, HASHES).values()) == expected


def test_a_short_scrape_says_nothing_of_the_rest() -> None:
    """Torrents beyond the end of the answer are absent; entries beyond what was asked are ignored."""
    one = struct.pack(">iii", 1, 2, 3)
    head = struct.pack(">II", 2, 1)
    assert list(udp_packets.parse_scrape(head + one + one[:5], HASHES)) == HASHES[:1]
    assert list(udp_packets.parse_scrape(head + one * 9, HASHES)) == HASHES


def test_an_error_is_a_refusal_with_its_words() -> None:
    """The tracker's words are shown without control characters; an announce without a body is a refusal too."""
    with pytest.raises(TrackerRefusal, match="not authorized"):
        udp_packets.parse_scrape(struct.pack(">II", 3, 1) + b"not \x1bauthorized", HASHES)
    with pytest.raises(TrackerRefusal, match="does not serve"):
        udp_packets.parse_announce(struct.pack(">II", 1, 1), ipv6=False)


def test_intervals_are_clamped_or_refused() -> None:
    """A year becomes a day; a negative interval is not an answer."""
    body = struct.pack(">II", 0, 0) + bytes((192, 0, 2, 1)) + (6881).to_bytes(2, "big")
    year = udp_packets.parse_announce(struct.pack(">IIi", 1, 1, 31_536_000) + body, ipv6=False)
    assert year == Announced(peers=(Address(host="192.0.2.1", port=6881),), interval_s=86_400)
    with pytest.raises(SwarmError):
        udp_packets.parse_announce(struct.pack(">IIi", 1, 1, -5) + body, ipv6=False)
