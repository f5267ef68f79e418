"""One conversation with one peer: it ends in time, takes so many bytes and no more, and fails as a SwarmError only.

A peer says once which pieces it has (BEP 6); after that ``have`` and ``lt_donthave`` change it. "I have all" is five
bytes that become an array of the torrent's length here, so a second one ends the conversation unread.

A fresh random peer id each time: the accepting side would take a second connection under a known id for a duplicate.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smartnode.domain.identity import InfoHash
from smartnode.domain.network import Proxy
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire
from smartnode.swarm.way import open_way

TALK_MAX_BYTES = 1 << 20
"""What a peer may send beside its longest frame: three blocks, PEX, a hundred thousand ``have``."""


class Conversation:
    """What is said over one open connection about a torrent of *num_pieces* pieces."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, num_pieces: int) -> None:
        """Speak over what `conversation` opened."""
        self._reader, self._writer = reader, writer
        self._num_pieces = num_pieces
        self._frame_max = wire.frame_limit(num_pieces)
        self._left = self._frame_max + TALK_MAX_BYTES
        self._said_pieces = False

    @property
    def ours(self) -> tuple[str, int] | None:
        """Our own end, None when the system does not say."""
        name = self._writer.get_extra_info("sockname")
        return (name[0], name[1]) if name else None

    def say(self, *frames: bytes) -> None:
        """Send whole frames; nothing is promised about their arrival."""
        self._writer.writelines(frames)

    async def greet(self, info_hash: InfoHash) -> wire.Handshake:
        """Exchange handshakes; SwarmError when the peer answers for another torrent."""
        wanted = bytes.fromhex(info_hash)
        self.say(wire.handshake(wanted, os.urandom(20)))
        theirs = wire.parse_handshake(await self._reader.readexactly(wire.HANDSHAKE_LENGTH))
        if theirs.info_hash != wanted:
            message = "the peer answered for another torrent"
            raise SwarmError(message)
        return theirs

    async def frame(self) -> wire.Frame | None:
        """Read one frame; None for a keep-alive. SwarmError over the limits of a frame or of the conversation."""
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        self._left -= 4 + length
        if length > self._frame_max:
            message = f"the peer sent a frame of {length} bytes"
            raise SwarmError(message)
        if self._left < 0:
            message = "the peer talks without end"
            raise SwarmError(message)
        if length == 0:
            return None
        payload = await self._reader.readexactly(length)
        if payload[0] in wire.SAYS_PIECES:
            if self._said_pieces:
                message = "the peer said twice which pieces it has"
                raise SwarmError(message)
            self._said_pieces = True
        return wire.parse_frame(payload, self._num_pieces)


@asynccontextmanager
async def conversation(
    address: Address, *, num_pieces: int, deadline_s: float, local_host: str | None, proxy: Proxy | None
) -> AsyncIterator[Conversation]:
    """Connect and hang up at the end, whatever happens; what fails inside by time or by the network is a SwarmError."""
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await open_way(
                address, local_host=local_host, proxy=proxy, limit=wire.frame_limit(num_pieces) + 4
            )
            try:
                yield Conversation(reader, writer, num_pieces=num_pieces)
            finally:
                writer.transport.abort()
    except TimeoutError as error:
        message = "the peer did not answer in time"
        raise SwarmError(message) from error
    except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError) as error:
        message = "the peer hung up"
        raise SwarmError(message) from error
    except OSError as error:
        message = f"the peer cannot be reached: {error}"
        raise SwarmError(message) from error
