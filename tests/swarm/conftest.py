"""Trackers that lie, stall or babble, each on a loopback address of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress

import pytest

Answer = Callable[[bytes], list[bytes]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


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
        self._talks: list[asyncio.Task[object]] = []

    async def udp(self, answer: Answer, host: str = "127.0.40.1") -> tuple[str, UdpTracker]:
        """Start one by UDP; its announce URL and itself."""
        transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpTracker(answer), local_addr=(host, 0)
        )
        self._udp.append(transport)
        port = transport.get_extra_info("sockname")[1]
        return f"udp://{f'[{host}]' if ':' in host else host}:{port}/announce", made

    async def http(self, answer: Callable[[bytes], bytes] | Talk, host: str = "127.0.41.1") -> str:
        """Start one by HTTP: *answer* makes the whole answer of the request's first line, or talks itself."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._talks.append(task)
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
                await leave(writer)

        server = await asyncio.start_server(talk, host, 0)
        self._http.append(server)
        port = server.sockets[0].getsockname()[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/announce"

    async def over(self) -> None:
        """End them all, and their conversations."""
        self.end()
        if self._talks:
            _, pending = await asyncio.wait(self._talks, timeout=20)
            assert not pending

    def end(self) -> None:
        """Let none of them be there any more."""
        for transport in self._udp:
            transport.close()
        for server in self._http:
            server.close()


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    """Trackers that are gone after the test."""
    started = Hostile()
    yield started
    await started.over()
