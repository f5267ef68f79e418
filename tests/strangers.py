"""Peers made of a real socket and a script: what no libtorrent would do, on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from smartnode.domain.proof import Block
from smartnode.domain.swarm import Address
from smartnode.metainfo import bencode
from smartnode.swarm import wire

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
Serve = Callable[[Block], Iterable[bytes]]
INTERESTED, REQUEST = 2, 6
ALL, UNCHOKE, CHOKE = b"\x0e", b"\x01", b"\x00"


def framed(*frames: bytes) -> bytes:
    """Frames with their lengths."""
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def hello(client: str) -> bytes:
    """The extended handshake of *client*."""
    return bytes([wire.EXTENDED, 0]) + bencode.encode({b"m": {}, b"v": client.encode()})


def numbers(block: Block) -> bytes:
    """A block as the wire names it."""
    return b"".join(n.to_bytes(4, "big") for n in (block.piece, block.begin, block.length))


def piece(block: Block, data: bytes) -> bytes:
    """The answer to a request."""
    return b"\x07" + numbers(block)[:8] + data


def reject(block: Block) -> bytes:
    """A refusal (BEP 6)."""
    return b"\x10" + numbers(block)


@dataclass(kw_only=True, slots=True)
class Stranger:
    """A peer that says *opening* after the handshake, *unchokes* on interest and answers each request by *serve*,
    whatever torrent it is asked about; who does not speak plain BitTorrent is hung up on.
    """

    serve: Serve
    peer_id: bytes
    client: str
    opening: tuple[bytes, ...] = (ALL,)
    unchokes: bytes = UNCHOKE
    heard: list[int] = field(default_factory=list)
    asked: list[Block] = field(default_factory=list)
    met: list[bytes] = field(default_factory=list)
    interested: list[bytes] = field(default_factory=list)
    """The ids of those who were interested, each time."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be that peer until the other side leaves."""
        greeting = await reader.readexactly(wire.HANDSHAKE_LENGTH)
        if not greeting.startswith(wire.PROTOCOL):
            return
        theirs = wire.parse_handshake(greeting)
        self.met.append(theirs.peer_id)
        writer.write(wire.handshake(theirs.info_hash, self.peer_id) + framed(hello(self.client), *self.opening))
        while True:
            length = int.from_bytes(await reader.readexactly(4), "big")
            frame = await reader.readexactly(length)
            self.heard += frame[:1]
            if frame[:1] == bytes([INTERESTED]):
                self.interested.append(theirs.peer_id)
                writer.write(framed(self.unchokes) if self.unchokes else b"")
            if frame[:1] == bytes([REQUEST]):
                piece_, begin, size = (int.from_bytes(frame[n : n + 4], "big") for n in (1, 5, 9))
                block = Block(piece=piece_, begin=begin, length=size)
                self.asked.append(block)
                writer.write(framed(*await self.answers(theirs.info_hash.hex(), block)))

    async def answers(self, info_hash: str, block: Block) -> Iterable[bytes]:  # noqa: ARG002 -- for peers who care
        """Return what it says to a request for *block* of a torrent."""
        return self.serve(block)


@asynccontextmanager
async def peer(talk: Talk, host: str = "127.0.7.1", *, leaves: bool = False) -> AsyncIterator[Address]:
    """A peer on loopback that behaves as *talk* says. Its conversations are over when it is, because the other side
    ended them; with *leaves* it hangs up itself.
    """
    talks: list[asyncio.Task[object]] = []
    lines: list[asyncio.StreamWriter] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        lines.append(writer)
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
        if leaves:
            for line in lines:
                line.transport.abort()
        if talks:
            _, pending = await asyncio.wait(talks, timeout=20)
            assert not pending
