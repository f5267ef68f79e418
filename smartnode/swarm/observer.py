"""Looks at swarms within budgets: who says to be there (DHT), who is connected to us, what each of them really has.

A look joins nothing: no port is announced, no payload is taken. One slow peer never holds up the others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.errors import SwarmError
from smartnode.swarm.manners import within_limits
from smartnode.swarm.probe import Manners, Sighting, probe
from smartnode.swarm.views import holder_of, merge

PROBES_AT_ONCE = 32

log = structlog.get_logger(__name__)


class PeerFinder(Protocol):
    """Whoever can ask the DHT."""

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Return the peers that the DHT names; None: not asked, or no answer."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """How this node looks: its identity (to recognise itself), its manners and what it may reach."""

    node_id: NodeId
    network_id: str
    manners: Manners
    allow_private: bool
    memory: timedelta


class Observer:
    """Looks at swarms; keeps no state of its own."""

    def __init__(self, finder: PeerFinder, eyes: Eyes) -> None:
        """Look with *eyes*; addresses come from *finder* and from earlier views."""
        self._finder = finder
        self._eyes = eyes
        self._gate = asyncio.Semaphore(PROBES_AT_ONCE)
        self.memory = eyes.memory
        """How long a holder that went offline is remembered; may change while the node runs."""

    async def look(self, looks: Sequence[LookAt], now: datetime) -> tuple[SwarmView, ...]:
        """Look at each swarm; one view per look, in order; a swarm that taught nothing keeps its view."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(look, now)) for look in looks]
        return tuple(task.result() for task in tasks)

    async def _one(self, look: LookAt, now: datetime) -> SwarmView:
        found = await self._finder.find_peers(look.info_hash)
        connected = [h for h in look.connected if h.peer_id != self._eyes.node_id]
        known = [h.address for h in (look.known.holders if look.known else ())]
        at_hand = {h.address for h in connected}
        asked = within_limits(
            [a for a in (*(found or ()), *known) if a not in at_hand], allow_private=self._eyes.allow_private
        )
        answers = await asyncio.gather(*(self._probe(a, look) for a in asked))
        answered = [s for s in answers if s is not None]
        seen = [
            holder_of(s, now=now, network_id=self._eyes.network_id) for s in answered if s.peer_id != self._eyes.node_id
        ]
        log.debug("swarm.looked", info_hash=look.info_hash, asked=len(asked), answered=len(answered))
        return merge(
            look.known,
            info_hash=look.info_hash,
            seen=(*seen, *connected),
            witness=_witness(found, answered, connected),
            now=now,
            memory=self.memory,
        )

    async def _probe(self, address: Address, look: LookAt) -> Sighting | None:
        async with self._gate:
            try:
                return await probe(address, look.info_hash, num_pieces=look.num_pieces, manners=self._eyes.manners)
            except SwarmError:
                return None


def _witness(
    found: tuple[Address, ...] | None, answered: Sequence[Sighting], connected: Sequence[Holder]
) -> Witness | None:
    """Say who taught us something; None when nobody did (peers are named and none of them answers)."""
    if answered:
        return Witness.WIRE_PROBE
    if connected:
        return Witness.PEER_INFO
    return Witness.DHT if found == () else None
