"""Trackers that lie, stall or babble, each on a loopback address of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

Answer = Callable[[bytes], list[bytes]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class UdpTracker(asyncio.DatagramProtocol):
    """Answers each datagram with what *answer* makes of it."""

    def __init__(self, answer: Answer) -> None:
        """Answer with *answer*."""
        self.heard: list[bytes] = []
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Note and answer."""
        self.heard.append(data)
        assert self._transport is not None
        for packet in self._answer(data):
            self._transport.sendto(packet, addr)


class Hostile:
    """Starts trackers; all of them end with the test."""

    def __init__(self) -> None:
        """Begin with none."""
        self._udp: list[asyncio.DatagramTransport] = []
        self._http: list[asyncio.Server] = []

    async def udp(self, answer: Answer, host: str = "127.0.40.1") -> tuple[str, UdpTracker]:
        """Start one by UDP; its announce URL and itself."""
        transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpTracker(answer), local_addr=(host, 0)
        )
        self._udp.append(transport)
        port = transport.get_extra_info("sockname")[1]
        return f"udp://{f'[{host}]' if ':' in host else host}:{port}/announce", made

    async def http(self, answer: Callable[[bytes], bytes] | Talk) -> str:
        """Start one by HTTP: *answer* makes the whole answer of the request's first line, or talks itself."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                if asyncio.iscoroutinefunction(answer):
                    await answer(reader, writer)
                else:
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(answer(request))
                    await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.41.1", 0)
        self._http.append(server)
        return f"http://127.0.41.1:{server.sockets[0].getsockname()[1]}/announce"

    def end(self) -> None:
        """End them all."""
        for transport in self._udp:
            transport.close()
        for server in self._http:
            server.close()


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    """Trackers that are gone after the test."""
    started = Hostile()
    yield started
    started.end()
