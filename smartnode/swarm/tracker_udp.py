"""A UDP tracker is asked through one connected socket: the kernel drops what comes from anywhere else (BEP 15).

Laws: transaction ids are random and an answer to none of them is no answer; a request is sent three times within 15 s
and then given up; a connection id serves for 60 s; a listing is taken back, also when the look-up is cancelled.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import structlog

from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash
from smartnode.errors import SwarmError
from smartnode.swarm import udp_packets
from smartnode.swarm.answers import Announced, Counts
from smartnode.swarm.tracker_line import Allowance, TrackerManners, addresses_of

CONNECTION_S = 60.0
STOP_TRIES = 2

log = structlog.get_logger(__name__)


@asynccontextmanager
async def udp_line(url: str, manners: TrackerManners, allowance: Allowance) -> AsyncIterator["UdpLine"]:
    """Open a socket to the first address of *url* that answers; SwarmError when none does."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if port is None:
        message = "a UDP tracker's address names its port"
        raise SwarmError(message)
    failure = SwarmError("the tracker has no address")
    for address in await addresses_of(host, port, allow_private=manners.allow_private):
        make = partial(UdpLine, allowance, manners.waits_s, ipv6=":" in address)
        try:
            transport, line = await asyncio.get_running_loop().create_datagram_endpoint(
                make, remote_addr=(address, port), local_addr=_local(manners, address)
            )
        except OSError as error:
            failure = SwarmError(f"the tracker cannot be reached: {error.strerror}")
            continue
        try:
            try:
                await line.connect()
            except SwarmError as error:
                failure = error
                continue
            yield line
        finally:
            transport.close()
        return
    raise failure


def _local(manners: TrackerManners, address: str) -> tuple[str, int] | None:
    host = manners.local_host
    return None if host is None or (":" in host) != (":" in address) else (host, 0)


class UdpLine(asyncio.DatagramProtocol):
    """One socket to one tracker; several requests may be under way."""

    def __init__(self, allowance: Allowance, waits_s: Sequence[float], *, ipv6: bool) -> None:
        """Send no more than *allowance*; wait for each try as long as *waits_s* says."""
        self._allowance = allowance
        self._waits_s = waits_s
        self._ipv6 = ipv6
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._connecting = asyncio.Lock()
        self._connection: tuple[int, float] | None = None

    async def connect(self) -> int:
        """Return a connection id that is younger than 60 s."""
        loop = asyncio.get_running_loop()
        async with self._connecting:
            if self._connection is None or loop.time() >= self._connection[1]:
                connection = udp_packets.parse_connect(await self._ask(udp_packets.connect))
                self._connection = (connection, loop.time() + CONNECTION_S)
            return self._connection[0]

    async def scrape(self, hashes: Sequence[InfoHash]) -> dict[InfoHash, Counts | None]:
        """Return the counts, None for a torrent that the tracker does not know."""
        connection = await self.connect()
        raw = await self._ask(lambda transaction: udp_packets.scrape(connection, transaction, hashes))
        return udp_packets.parse_scrape(raw, hashes)

    async def announce(self, info_hash: InfoHash, *, left: int) -> Announced:
        """Ask for peers, then take the listing back; its failure is not the look-up's."""
        connection, key = await self.connect(), secrets.randbits(32)
        peer_id = NODE_ID_PREFIX + secrets.token_urlsafe(9).encode()

        def says(event: int) -> Callable[[int], bytes]:
            return lambda transaction: udp_packets.announce(
                connection, transaction, info_hash=info_hash, peer_id=peer_id, left=left, event=event, key=key
            )

        stopped = False
        try:
            answer = udp_packets.parse_announce(await self._ask(says(udp_packets.STARTED)), ipv6=self._ipv6)
            await self._leave(says(udp_packets.STOPPED), info_hash)
            stopped = True
        finally:
            if not stopped:  # cancelled, or no answer came, which is not to say that nobody listed us
                self._send(says(udp_packets.STOPPED)(secrets.randbits(32)))
        return answer

    async def _leave(self, request: Callable[[int], bytes], info_hash: InfoHash) -> None:
        try:
            await self._ask(request, tries=STOP_TRIES)
        except SwarmError as error:
            log.debug("tracker.not_left", info_hash=info_hash, reason=error.text)

    async def _ask(self, request: Callable[[int], bytes], *, tries: int | None = None) -> bytes:
        transaction = secrets.randbits(32)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = answer
        try:
            for wait_s in self._waits_s[:tries]:
                if not self._send(request(transaction)):
                    break
                done, _ = await asyncio.wait((answer,), timeout=wait_s)
                if done:
                    return answer.result()
        except OSError as error:
            message = f"the tracker cannot be reached: {error.strerror or error}"
            raise SwarmError(message) from error
        finally:
            self._waiting.pop(transaction, None)
            answer.cancel()
        message = "no answer"
        raise SwarmError(message)

    def _send(self, packet: bytes) -> bool:
        if self._transport is None or self._transport.is_closing() or not self._allowance.spend():
            return False
        self._transport.sendto(packet)
        return True

    # The standard library's own signature for datagrams; its transport is no subclass of its own abstract one.
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the socket (asyncio calls this)."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 -- the socket is connected
        """Hand an answer to whoever waits for it; anything else is nothing (asyncio calls this)."""
        if len(data) > udp_packets.DATAGRAM_MAX:
            return
        transaction = udp_packets.transaction_of(data)
        answer = None if transaction is None else self._waiting.get(transaction)
        if answer is not None and not answer.done():
            answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """End what waits: nobody listens there (asyncio calls this)."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(exc)
