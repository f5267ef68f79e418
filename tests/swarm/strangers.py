"""Peers made of a real socket and a script: what no libtorrent would do, on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from smartnode.domain.swarm import Address

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def peer(talk: Talk, host: str = "127.0.7.1") -> AsyncIterator[Address]:
    """A peer on loopback that behaves as *talk* says; its conversations are over when it is."""
    talks: list[asyncio.Task[object]] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side left
        finally:
            writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(noted, host, 0)
    try:
        yield Address(host=host, port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
        if talks:
            _, pending = await asyncio.wait(talks, timeout=20)
            assert not pending
