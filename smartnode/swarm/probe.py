"""One look at one peer: connect, shake hands, read which pieces it has, leave; bounded in time and bytes, no payload.

A fresh random peer id each time: the accepting side would take a second connection under a known id for a duplicate.
After the bitfield it listens a little longer, since lazy bitfields are completed by ``have`` messages.
"""

import asyncio
import os
from dataclasses import dataclass

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire

PROBE_DEADLINE_S = 5.0
SETTLE_S = 1.0
FRAMES_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one peer said of itself: *pieces* is a lower bound."""

    address: Address
    peer_id: bytes
    client: str | None
    upload_only: bool
    pieces: Bitfield


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How this node looks: *client* is its BEP 10 ``v``; *local_host* the address it connects from, None = any."""

    client: str
    local_host: str | None = None
    deadline_s: float = PROBE_DEADLINE_S
    settle_s: float = SETTLE_S


async def probe(address: Address, info_hash: InfoHash, *, num_pieces: int, manners: Manners) -> Sighting:
    """Ask the peer at *address* for its pieces; SwarmError when it cannot be reached or leaves the protocol."""
    local = None if manners.local_host is None else (manners.local_host, 0)
    try:
        async with asyncio.timeout(manners.deadline_s):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, local_addr=local, limit=wire.frame_limit(num_pieces) + 4
            )
            try:
                return await _converse(
                    reader, writer, address=address, info_hash=info_hash, num_pieces=num_pieces, manners=manners
                )
            finally:
                writer.transport.abort()
    except TimeoutError as error:
        message = "the peer did not answer in time"
        raise SwarmError(message) from error
    except (OSError, asyncio.IncompleteReadError) as error:
        message = f"the peer cannot be reached: {error}"
        raise SwarmError(message) from error


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    address: Address,
    info_hash: InfoHash,
    num_pieces: int,
    manners: Manners,
) -> Sighting:
    writer.write(wire.handshake(bytes.fromhex(info_hash), os.urandom(20)))
    theirs = wire.parse_handshake(await reader.readexactly(wire.HANDSHAKE_LENGTH))
    if theirs.info_hash != bytes.fromhex(info_hash):
        message = "the peer answered for another torrent"
        raise SwarmError(message)
    if theirs.extended:
        writer.write(wire.extended_handshake(manners.client))
    said = _Said(pieces=None, haves=set(), extended=None)
    loop = asyncio.get_running_loop()
    ends: float | None = None
    for _ in range(FRAMES_MAX):
        if ends is None and said.complete(extended=theirs.extended):
            ends = loop.time() + manners.settle_s
        try:
            frame = await asyncio.wait_for(
                _frame(reader, num_pieces), None if ends is None else max(0.0, ends - loop.time())
            )
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            if ends is None:
                raise
            break
        said.take(frame)
    if said.pieces is None:
        message = "the peer did not say which pieces it has"
        raise SwarmError(message)
    return Sighting(
        address=address,
        peer_id=theirs.peer_id,
        client=said.extended.client if said.extended else None,
        upload_only=said.extended.upload_only if said.extended else False,
        pieces=said.pieces | Bitfield.from_indices(said.haves, num_pieces),
    )


@dataclass(slots=True, kw_only=True)
class _Said:
    """What the peer said so far in one conversation."""

    pieces: Bitfield | None
    haves: set[int]
    extended: wire.Extended | None

    def complete(self, *, extended: bool) -> bool:
        return self.pieces is not None and (self.extended is not None or not extended)

    def take(self, frame: wire.Frame | None) -> None:
        match frame:
            case wire.Pieces(pieces=pieces):
                self.pieces = pieces
            case wire.Have(index=index):
                self.haves.add(index)
            case wire.Extended():
                self.extended = frame
            case wire.Other() | None:
                pass


async def _frame(reader: asyncio.StreamReader, num_pieces: int) -> wire.Frame | None:
    """Read one frame; None for a keep-alive."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length == 0:
        return None
    if length > wire.frame_limit(num_pieces):
        message = f"the peer sent a frame of {length} bytes"
        raise SwarmError(message)
    return wire.parse_frame(await reader.readexactly(length), num_pieces)
