"""Trackers as this node asks them, against Debian's opentracker: figures, packets, and no trace that we asked."""

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address
from smartnode.domain.tracker import Scrape
from smartnode.swarm import http_answers, udp_packets
from smartnode.swarm.answers import Counts
from smartnode.swarm.tracker_line import BATCH, TrackerManners
from smartnode.swarm.trackers import Trackers

MANY = 10_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOCAL = TrackerManners(allow_private=True, deadline_s=60)


def hashes(count: int) -> list[InfoHash]:
    """So many info-hashes, spread over the tracker's buckets."""
    return [InfoHash(f"{(n * 2654435761 % 2**32):08x}{n:032x}") for n in range(1, count + 1)]


class Crowd(asyncio.DatagramProtocol):
    """Peers that announce themselves by UDP; each answer is awaited, so that the tracker loses none."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.DatagramTransport | None = None
        self._connection = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 -- asyncio passes it
        """Hand on the answer."""
        self._answer.set_result(data)

    async def ask(self, packet: bytes) -> bytes:
        """Send *packet*, return its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.sendto(packet)
        return await asyncio.wait_for(self._answer, 10)

    async def announce(self, info_hash: str, *, port: int, left: int, event: int = 2) -> bytes:
        """One peer at *port* of this socket's host."""
        self._connection = self._connection or udp_packets.parse_connect(await self.ask(udp_packets.connect(1)))
        head = struct.pack(">QII", self._connection, udp_packets.ANNOUNCE, 2) + bytes.fromhex(info_hash)
        return await self.ask(
            head + b"-XX0001-%012d" % port + struct.pack(">QQQIIIiH", 0, left, 0, event, 0, 1, 200, port)
        )


@asynccontextmanager
async def crowd_at(tracker: Any, host: str = "127.0.50.1") -> AsyncIterator[Crowd]:
    """A socket of a crowd at *host*."""
    transport, crowd = await asyncio.get_running_loop().create_datagram_endpoint(
        Crowd, remote_addr=(tracker.host, tracker.port), local_addr=(host, 0)
    )
    try:
        yield crowd
    finally:
        transport.close()


async def populate(tracker: Any, names: Sequence[InfoHash]) -> dict[InfoHash, tuple[int, int]]:
    """Announce 1 to 3 seeds and 0 to 2 others for each; return (complete, incomplete)."""
    expected = {name: (1 + n % 3, n % 7 % 3) for n, name in enumerate(names)}
    async with crowd_at(tracker) as crowd:
        for name, (complete, incomplete) in expected.items():
            for peer in range(complete + incomplete):
                await crowd.announce(name, port=2000 + peer, left=0 if peer < complete else 5)
    return expected


def figures(said: Mapping[InfoHash, Scrape]) -> dict[InfoHash, tuple[int | None, int | None]]:
    """What was learned, in the form of what was announced."""
    return {h: (s.complete, s.incomplete) for h, s in said.items()}


def sent() -> int:
    """UDP datagrams that this namespace sent so far, by the kernel's own count."""
    head, values = (
        line.split() for line in Path("/proc/thread-self/net/snmp").read_text().splitlines() if "Udp:" in line
    )
    return int(values[head.index("OutDatagrams")])


async def test_ten_thousand_torrents_take_two_hundred_datagrams(tracker: Any) -> None:
    """The kernel counts what was sent by both sides; every figure is the tracker's own."""
    names = hashes(MANY)
    one = tracker(names)
    expected = await populate(one, names)
    before = sent()
    said = await Trackers(LOCAL).scrape({one.udp: names}, NOW)
    both_ways = sent() - before
    print(f"datagrams: {both_ways // 2}")  # noqa: T201 -- a measured figure
    assert figures(said) == expected
    assert both_ways // 2 <= 200
    assert both_ways // 2 >= MANY // BATCH


async def test_http_stays_within_its_requests_and_takes_the_rest_first_next_time(tracker: Any) -> None:
    """Debian's tracker answers 64 torrents per request: 150 requests reach 9,600, and the next call begins with the
    rest.
    """
    names = hashes(MANY)
    one = tracker(names)
    expected = await populate(one, names)
    asker = Trackers(LOCAL)
    said = await asker.scrape({one.http: names}, NOW)
    print(f"torrents by 150 requests: {len(said)}")  # noqa: T201 -- a measured figure
    assert figures(said).items() <= expected.items()
    assert len(said) >= 9_000
    rest = await asker.scrape({one.http: names}, NOW)
    assert figures(said) | figures(rest) == expected


async def in_swarm(tracker: Any) -> tuple[Counts, set[Address]]:
    """Whom the tracker counts in the swarm of ``ab`` times 20, and whom it names to another who asks."""
    query = f"info_hash={'%ab' * 20}"
    rest = "peer_id=-XX0001-zzzzzzzzzzzz&port=7777&left=9&uploaded=0&downloaded=0&compact=1"
    async with httpx.AsyncClient(trust_env=False) as client:
        counted = (await client.get(f"{tracker.http.replace('announce', 'scrape')}?{query}")).content
        named = (await client.get(f"{tracker.http}?{query}&{rest}")).content
        await client.get(f"{tracker.http}?{query}&{rest}&event=stopped")
    name = InfoHash("ab" * 20)
    return http_answers.parse_scrape(counted, [name])[name], set(http_answers.parse_announce(named).peers)


@pytest.mark.parametrize("scheme", ["udp", "http"])
async def test_a_look_up_names_the_peers_and_leaves_no_entry(tracker: Any, scheme: str) -> None:
    """Before and after, the tracker counts and names exactly those who announced themselves."""
    name = InfoHash("ab" * 20)
    one = tracker([name])
    async with crowd_at(one) as crowd:
        for port in (2001, 2002, 80):
            await crowd.announce(name, port=port, left=5)
    before = await in_swarm(one)
    named = await Trackers(LOCAL).peers(name, [getattr(one, scheme)], size=Bytes(1000), now=NOW)
    assert named is not None
    assert set(named) == {Address(host="127.0.50.1", port=port) for port in (2001, 2002)}
    assert before[0] == Counts(complete=0, incomplete=3, downloaded=0)
    assert await in_swarm(one) == before


@pytest.mark.parametrize("scheme", ["udp", "http"])
async def test_nobody_is_an_answer_and_no_answer_is_none(tracker: Any, scheme: str) -> None:
    """An empty swarm is (); a torrent that the tracker does not serve, and a tracker that is gone, are None."""
    name = InfoHash("ab" * 20)
    one = tracker([name])
    asker = Trackers(LOCAL)
    url = getattr(one, scheme)
    assert await asker.peers(name, [url], size=Bytes(9), now=NOW) == ()
    assert await asker.peers(InfoHash("cd" * 20), [url], size=Bytes(9), now=NOW) is None
    assert asker.answered(url), asker.degraded(NOW)
    one.stop()
    assert await asker.peers(name, [url], size=Bytes(9), now=NOW) is None
    assert not asker.answered(url)
    assert [line.split(" since")[0] for line in asker.degraded(NOW)] == [
        f"swarm: tracker {scheme}://{one.host}:{one.port} does not answer"
    ]
