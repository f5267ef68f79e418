"""One look at one peer: connect, shake hands, read which pieces it has, leave; bounded in time and bytes, no payload.

After the bitfield it listens a little longer, since lazy bitfields are completed by ``have`` messages, and a little
longer still when it wants to hear of others: libtorrent's first PEX message comes with its next tick, within 1 s
(measured), unless the messages of other torrents go before.
"""

import asyncio
from dataclasses import dataclass

from smartnode.domain.identity import InfoHash
from smartnode.domain.network import Proxy
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire
from smartnode.swarm.conversation import Conversation, conversation

PROBE_DEADLINE_S = 5.0
SETTLE_S = 1.0
PEX_S = 1.5
LEAVE_S = 0.2
"""So long before the deadline a look ends with what it has."""
FRAMES_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one peer said of itself: *pieces* is a lower bound. *named*: peers that it says it knows, hearsay."""

    address: Address
    peer_id: bytes
    client: str | None
    upload_only: bool
    pieces: Bitfield
    named: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How this node looks: *client* is its BEP 10 ``v``; *local_host* the address it connects from, None = any.

    *pex_s*: how long it stays for a first PEX message where one is wanted. *proxy*: what nothing may go around.
    """

    client: str
    local_host: str | None = None
    deadline_s: float = PROBE_DEADLINE_S
    settle_s: float = SETTLE_S
    pex_s: float = PEX_S
    proxy: Proxy | None = None


async def probe(
    address: Address, info_hash: InfoHash, *, num_pieces: int, manners: Manners, pex: bool = False
) -> Sighting:
    """Ask the peer at *address* for its pieces, with *pex* also for others; SwarmError when it cannot be reached or
    leaves the protocol.
    """
    until = asyncio.get_running_loop().time() + manners.deadline_s - LEAVE_S
    async with conversation(
        address,
        num_pieces=num_pieces,
        deadline_s=manners.deadline_s,
        local_host=manners.local_host,
        proxy=manners.proxy,
    ) as talk:
        return await _Look(talk, num_pieces=num_pieces, manners=manners, pex=pex, until=until).at(address, info_hash)


class _Look:
    """One conversation, and what the peer said so far in it."""

    def __init__(self, talk: Conversation, *, num_pieces: int, manners: Manners, pex: bool, until: float) -> None:
        self._talk = talk
        self._num_pieces = num_pieces
        self._manners = manners
        self._wants_pex = pex
        self._until = until
        self._speaks_extended = False
        self._pieces: Bitfield | None = None
        self._haves: set[int] = set()
        self._extended: wire.Extended | None = None
        self._named: tuple[Address, ...] | None = None

    async def at(self, address: Address, info_hash: InfoHash) -> Sighting:
        theirs = await self._talk.greet(info_hash)
        self._speaks_extended = theirs.extended
        if theirs.extended:
            self._talk.say(wire.extended_handshake(self._manners.client, pex=self._wants_pex))
        await self._listen()
        if self._pieces is None:
            message = "the peer did not say which pieces it has"
            raise SwarmError(message)
        return Sighting(
            address=address,
            peer_id=theirs.peer_id,
            client=self._extended.client if self._extended else None,
            upload_only=self._extended.upload_only if self._extended else False,
            pieces=self._pieces | Bitfield.from_indices(self._haves, self._num_pieces),
            named=tuple(a for a in self._named or () if a != address and (a.host, a.port) != self._talk.ours),
        )

    async def _listen(self) -> None:
        """Read until the peer has said what is wanted and settled; afterwards its leaving is no failure."""
        loop = asyncio.get_running_loop()
        complete_at: float | None = None
        for _ in range(FRAMES_MAX):
            if complete_at is None and self._complete():
                complete_at = loop.time()
            ends = None if complete_at is None else min(complete_at + self._stays_s(), self._until)
            try:
                frame = await asyncio.wait_for(
                    self._talk.frame(), None if ends is None else max(0.0, ends - loop.time())
                )
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                if ends is None:
                    raise
                return
            self._take(frame)

    def _complete(self) -> bool:
        return self._pieces is not None and (self._extended is not None or not self._speaks_extended)

    def _stays_s(self) -> float:
        awaited = self._wants_pex and self._named is None and self._extended is not None and self._extended.pex
        return max(self._manners.settle_s, self._manners.pex_s) if awaited else self._manners.settle_s

    def _take(self, frame: wire.Frame | None) -> None:
        match frame:
            case wire.Pieces(pieces=pieces):
                self._pieces = pieces
            case wire.Have(index=index):
                self._haves.add(index)
            case wire.Extended():
                self._extended = frame
            case wire.Pex(added=added):
                self._named = (self._named or added) if self._wants_pex else None
            case _:
                pass
