"""A holder is proved when it serves three blocks that nobody could foretell, just as our own verified copy has them.

In steps: connect beside any standing connection, under a fresh random id; the handshake must carry the holder's own id
and BEP 10 ``v`` a smartnode of our network; it must claim every piece of the segment; say interested, wait to be
unchoked, ask for the blocks all at once, compare.

Laws: silence, refusal to connect, choking, hanging up and babble are UNKNOWN, for an honest node may be busy, gone or
cut off. LIAR needs a contradiction within one conversation: other bytes than ours, or a claimed block refused while
unchoked and not taken back. libtorrent chokes before it rejects what was asked, and says ``lt_donthave`` before it
rejects what its disk cannot read, so neither makes a liar of it. Nothing but the blocks is asked for, and each once.

What a proof does not show: a peer may fetch the blocks from another holder, or from us, while we wait.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from smartnode.domain.identity import NodeId, is_smartnode
from smartnode.domain.proof import Block, Challenge, Outcome, Verdict
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire
from smartnode.swarm.conversation import Conversation, conversation
from smartnode.swarm.manners import Gate, reachable
from smartnode.swarm.probe import Manners

UNCHOKE_S = 60.0
"""Two rounds of libtorrent's optimistic unchoke (30 s)."""
SERVE_S = 30.0
PROOFS_AT_ONCE = 8
PROOFS_PER_NETWORK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait for being unchoked, and then for all blocks; what comes before has the manners' deadline."""

    unchoke_s: float = UNCHOKE_S
    serve_s: float = SERVE_S


class Asker(Protocol):
    """Who asks; `observer.Eyes` is one."""

    @property
    def node_id(self) -> NodeId:
        """Our own id: no proof of others."""
        ...

    @property
    def network_id(self) -> str:
        """The network whose smartnodes count."""
        ...

    @property
    def manners(self) -> Manners:
        """How we connect, and for how long until the peer has said who it is and what it has."""
        ...

    @property
    def allow_private(self) -> bool:
        """Whether private addresses may be asked."""
        ...


def proofs_gate() -> Gate:
    """Return the gate of proofs: few at once, since each takes an upload slot from those who fetch."""
    return Gate(at_once=PROOFS_AT_ONCE, per_network=PROOFS_PER_NETWORK)


async def prove(
    address: Address, challenge: Challenge, *, asker: Asker, gate: Gate, patience: Patience | None = None
) -> Outcome:
    """Let the holder at *address* prove itself, once *gate* opens; within 96 s after that by default. Raises nothing
    that the network or the peer can cause.
    """
    patience = patience or Patience()
    if challenge.holder == asker.node_id:
        return _unknown("this node is no proof of itself")
    if not reachable(address, allow_private=asker.allow_private):
        return _unknown("the address is not one that may be asked")
    manners = asker.manners
    async with gate.open_for(address):
        try:
            async with conversation(
                address,
                num_pieces=challenge.layout.num_pieces,
                deadline_s=manners.deadline_s + manners.settle_s + patience.unchoke_s + patience.serve_s,
                local_host=manners.local_host,
                proxy=manners.proxy,
            ) as talk:
                return await _Proof(talk, challenge, asker=asker, patience=patience).run()
        except SwarmError as error:
            return _unknown(error.text)


def _unknown(reason: str) -> Outcome:
    return Outcome(verdict=Verdict.UNKNOWN, reason=reason)


@asynccontextmanager
async def _within(seconds: float, else_: str) -> AsyncIterator[None]:
    """Let what is inside take so long; SwarmError *else_* when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SwarmError(else_) from error


class _Proof:
    """One conversation, and what the peer claims so far in it; SwarmError is what teaches nothing."""

    def __init__(self, talk: Conversation, challenge: Challenge, *, asker: Asker, patience: Patience) -> None:
        self._talk = talk
        self._challenge = challenge
        self._asker = asker
        self._patience = patience
        self._extended: wire.Extended | None = None
        self._lacking: set[int] | None = None
        """Pieces of the segment that it does not claim; None before it said."""
        self._choked = True
        self._open: dict[Block, bytes] = {}
        """What was asked and is not answered yet."""

    async def run(self) -> Outcome:
        manners, patience = self._asker.manners, self._patience
        async with _within(manners.deadline_s, "the peer did not say in time who it is and what it has"):
            await self._meet()
        if not await self._claims(manners.settle_s):
            return self._absent()
        self._talk.say(wire.INTERESTED)
        async with _within(patience.unchoke_s, f"the peer did not unchoke us within {patience.unchoke_s:g} s"):
            while self._choked:
                self._take(await self._talk.frame())
        if self._lacking:
            return self._absent()
        self._open = {q.block: q.answer for q in self._challenge.questions}
        self._talk.say(*(wire.request(block) for block in self._open))
        async with _within(patience.serve_s, f"the peer did not serve three blocks within {patience.serve_s:g} s"):
            return await self._judge()

    async def _meet(self) -> None:
        """Read who is there and what it has."""
        theirs = await self._talk.greet(self._challenge.info_hash)
        if theirs.peer_id != self._challenge.holder:
            message = "another peer answers there"
            raise SwarmError(message)
        if theirs.extended:
            self._talk.say(wire.extended_handshake(self._asker.manners.client, pex=False, dont_have=True), wire.NOTHING)
            while self._lacking is None or self._extended is None:
                self._take(await self._talk.frame())
        if not is_smartnode(self._extended.client if self._extended else None, self._asker.network_id):
            message = "the peer there is not a smartnode of this network"
            raise SwarmError(message)

    async def _claims(self, settle_s: float) -> bool:
        """Say whether it claims the whole segment, at once or within *settle_s* (lazy bitfields)."""
        try:
            async with asyncio.timeout(settle_s):
                while self._lacking:
                    self._take(await self._talk.frame())
        except TimeoutError:
            return False
        return True

    async def _judge(self) -> Outcome:
        """Read until every question is answered, or one answer is enough."""
        while self._open:
            match frame := await self._talk.frame():
                case wire.Piece(block=block, data=data) if block in self._open:
                    if data != self._open.pop(block):
                        return Outcome(verdict=Verdict.LIAR, reason=f"it sent other bytes than ours for {block}")
                case wire.Reject(block=block) if block in self._open:
                    if self._lacking:
                        return self._absent()
                    reason = f"it claims piece {block.piece} and refuses {block} while unchoked"
                    return Outcome(verdict=Verdict.LIAR, reason=reason)
                case wire.Choke():
                    message = "the peer choked us again before it served"
                    raise SwarmError(message)
                case _:
                    self._take(frame)
        count = len(self._challenge.questions)
        return Outcome(verdict=Verdict.PROVED, reason=f"it served {count} of {count} blocks as we have them")

    def _take(self, frame: wire.Frame | None) -> None:
        segment = self._challenge.pieces
        match frame:
            case wire.Pieces(pieces=pieces):
                self._lacking = {n for n in range(segment.first, segment.last + 1) if n not in pieces}
            case wire.Have(index=index) if self._lacking is not None:
                self._lacking.discard(index)
            case wire.DontHave(index=index) if self._lacking is not None and segment.first <= index <= segment.last:
                self._lacking.add(index)
            case wire.Choke() | wire.Unchoke():
                self._choked = isinstance(frame, wire.Choke)
            case wire.Extended():
                self._extended = frame
            case wire.Piece() | wire.Reject():
                message = "the peer answers what nobody asked"
                raise SwarmError(message)
            case _:
                pass

    def _absent(self) -> Outcome:
        lacking = len(self._lacking or ())
        reason = f"it does not hold {lacking} of the segment's {len(self._challenge.pieces)} pieces"
        return Outcome(verdict=Verdict.ABSENT, reason=reason)
