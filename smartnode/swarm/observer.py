"""Looks at swarms within budgets: who says to be there, who is connected to us, what each of them really has; and asks
holders to prove it.

Addresses come from earlier looks, from trackers and the DHT, and last from the peers that answered (PEX): hearsay gets
what is left of the same limits. A private torrent (BEP 27) asks its trackers alone. A look joins nothing: no port of
ours is announced, no payload is taken. One slow peer never holds up the others. Who was caught lying is not asked for a
proof again while that is remembered, nor is anybody else of its network.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Protocol

import structlog

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.proof import Challenge, Lie, Outcome, Verdict
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.errors import SwarmError
from smartnode.swarm.liars import Liars
from smartnode.swarm.manners import PER_SWARM, Gate, reachable, within_limits
from smartnode.swarm.probe import Manners, Sighting, probe
from smartnode.swarm.proof import Patience, proofs_gate, prove
from smartnode.swarm.views import holder_of, merge

PEX_ASKED = 8
"""So many peers of one look are asked for others: each may name a hundred, and each costs a wait of seconds."""

log = structlog.get_logger(__name__)


class PeerFinder(Protocol):
    """Whoever can ask the DHT."""

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Return the peers that the DHT names; None: not asked, or no answer."""
        ...


class TrackerFinder(Protocol):
    """Whoever can ask trackers about swarms that this node does not hold."""

    async def peers(
        self, info_hash: InfoHash, trackers: Sequence[str], *, size: Bytes, now: datetime
    ) -> tuple[Address, ...] | None:
        """Return the peers that the trackers name; None: none was asked, or none answered."""
        ...


class LookAt(Protocol):
    """One swarm to look at."""

    @property
    def info_hash(self) -> InfoHash:
        """The torrent."""
        ...

    @property
    def num_pieces(self) -> int:
        """Pieces of the torrent."""
        ...

    @property
    def known(self) -> SwarmView | None:
        """What was known before."""
        ...

    @property
    def connected(self) -> tuple[Holder, ...]:
        """Who is connected to us now."""
        ...

    @property
    def trackers(self) -> tuple[str, ...]:
        """Announce URLs to ask; empty for a torrent that the engine announces itself: what it hears connects."""
        ...

    @property
    def size(self) -> Bytes:
        """Bytes of the torrent, none of which we have as far as its trackers are told."""
        ...

    @property
    def private(self) -> bool:
        """BEP 27: its trackers alone may name peers."""
        ...

    @property
    def busy(self) -> frozenset[Address]:
        """Addresses that are being dialled for another purpose, and are not probed now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """How this node looks: its identity (to recognise itself), its manners and what it may reach."""

    node_id: NodeId
    network_id: str
    manners: Manners
    allow_private: bool
    memory: timedelta


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Observer:
    """Looks at swarms; keeps nothing of its own but who lied."""

    def __init__(
        self,
        finder: PeerFinder,
        eyes: Eyes,
        trackers: TrackerFinder | None = None,
        *,
        liars: Liars | None = None,
        patience: Patience | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Look with *eyes*; addresses come from earlier views, *finder*, *trackers* and the peers themselves. Proofs
        wait with *patience*; lies are noted in *liars* at the time of *clock*.
        """
        self._finder = finder
        self._eyes = eyes
        self._trackers = trackers
        self._gate = Gate()
        self._proofs = proofs_gate()
        self._patience = patience
        self._clock = clock
        self.liars = liars or Liars()
        """Who lied in the last day."""
        self.memory = eyes.memory
        """How long a holder that went offline is remembered; may change while the node runs."""

    async def look(self, looks: Sequence[LookAt], now: datetime) -> tuple[SwarmView, ...]:
        """Look at each swarm; one view per look, in order; a swarm that taught nothing keeps its view."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(look, now)) for look in looks]
        return tuple(task.result() for task in tasks)

    async def prove(self, address: Address, challenge: Challenge) -> Outcome:
        """Let the holder at *address* prove itself; a known liar is LIAR unasked. Raises nothing that the network or
        the peer can cause; a fault of our own is UNKNOWN and logged.
        """
        lie = None
        if reachable(address, allow_private=self._eyes.allow_private):
            lie = self.liars.find(address, challenge.holder, now=self._clock())
        if lie is not None:
            reason = f"it, or its network, lied at {lie.at:%Y-%m-%d %H:%M} UTC: {lie.reason}"
            return Outcome(verdict=Verdict.LIAR, reason=reason)
        try:
            outcome = await prove(address, challenge, asker=self._eyes, gate=self._proofs, patience=self._patience)
        except Exception:
            log.exception("swarm.proof_failed", info_hash=challenge.info_hash)
            return Outcome(verdict=Verdict.UNKNOWN, reason="an internal error, see the log; please report it")
        if outcome.verdict is Verdict.LIAR:
            self.liars.note(address, challenge.holder, reason=outcome.reason, now=self._clock())
            log.warning("swarm.liar", info_hash=challenge.info_hash, reason=outcome.reason)
        return outcome

    def know(self, lies: Iterable[Lie]) -> None:
        """Take up who lied before."""
        self.liars.recall(lies)

    def lies(self, now: datetime) -> tuple[Lie, ...]:
        """Return who lied in the last day."""
        return self.liars.lies(now)

    async def _one(self, look: LookAt, now: datetime) -> SwarmView:
        in_dht, in_trackers = await asyncio.gather(self._ask_dht(look), self._ask_trackers(look, now))
        connected = [h for h in look.connected if h.peer_id != self._eyes.node_id]
        at_hand = {h.address for h in connected} | look.busy
        first = self._within(_in_order(look.known, in_dht, in_trackers), at_hand)
        hearsay = 0 if look.private or len(first) == PER_SWARM else PEX_ASKED
        answered = await self._round(first, look, pex=hearsay)
        named = () if look.private else [a for turn in zip_longest(*(s.named for s in answered)) for a in turn if a]
        second = self._within([*first, *named], at_hand)[len(first) :]
        answered += await self._round(second, look, pex=0)
        seen = [
            holder_of(s, now=now, network_id=self._eyes.network_id) for s in answered if s.peer_id != self._eyes.node_id
        ]
        log.debug("swarm.looked", info_hash=look.info_hash, asked=len(first) + len(second), answered=len(answered))
        return merge(
            look.known,
            info_hash=look.info_hash,
            seen=(*seen, *connected),
            witness=_witness(in_dht, in_trackers, answered, connected),
            now=now,
            memory=self.memory,
        )

    async def _ask_dht(self, look: LookAt) -> tuple[Address, ...] | None:
        return None if look.private else await self._finder.find_peers(look.info_hash)

    async def _ask_trackers(self, look: LookAt, now: datetime) -> tuple[Address, ...] | None:
        if self._trackers is None or not look.trackers:
            return None
        return await self._trackers.peers(look.info_hash, look.trackers, size=look.size, now=now)

    def _within(self, addresses: Iterable[Address], at_hand: Collection[Address]) -> list[Address]:
        return within_limits((a for a in addresses if a not in at_hand), allow_private=self._eyes.allow_private)

    async def _round(self, addresses: Sequence[Address], look: LookAt, *, pex: int) -> list[Sighting]:
        """Probe all of *addresses*, and ask the first *pex* of them for others."""
        answers = await asyncio.gather(*(self._probe(a, look, pex=place < pex) for place, a in enumerate(addresses)))
        return [sighting for sighting in answers if sighting is not None]

    async def _probe(self, address: Address, look: LookAt, *, pex: bool) -> Sighting | None:
        async with self._gate.open_for(address):
            try:
                return await probe(
                    address, look.info_hash, num_pieces=look.num_pieces, manners=self._eyes.manners, pex=pex
                )
            except SwarmError:
                return None
            except Exception:  # a fault of our own costs the sight of one peer
                log.exception("swarm.probe_failed", info_hash=look.info_hash)
                return None


def _in_order(
    known: SwarmView | None, in_dht: tuple[Address, ...] | None, in_trackers: tuple[Address, ...] | None
) -> list[Address]:
    """Return whom to ask first: half of a look for those seen before, so that no flood of names crowds them out, then
    trackers and DHT in turn, then the rest of those seen before.
    """
    holders = sorted(known.holders if known else (), key=lambda h: h.witness is not Witness.WIRE_PROBE)
    before = [h.address for h in holders]
    named = [a for turn in zip_longest(in_trackers or (), in_dht or ()) for a in turn if a is not None]
    return [*before[: PER_SWARM // 2], *named, *before[PER_SWARM // 2 :]]


def _witness(
    in_dht: tuple[Address, ...] | None,
    in_trackers: tuple[Address, ...] | None,
    answered: Sequence[Sighting],
    connected: Sequence[Holder],
) -> Witness | None:
    """Say who taught us something; None when nobody did (peers are named and none of them answers)."""
    if answered:
        return Witness.WIRE_PROBE
    if connected:
        return Witness.PEER_INFO
    if in_dht or in_trackers:
        return None
    if in_dht is not None:
        return Witness.DHT
    return Witness.TRACKER if in_trackers is not None else None
