"""What readers see: one NodeStatus, replaced whole; built from what the rooms say at that moment and the last cycle's
outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smartnode.cycle.candidates import by_info_hash
from smartnode.cycle.outcome import Outcome
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.decision import Decision
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.mirror import Mirror
from smartnode.domain.quota import Room
from smartnode.domain.status import CatalogueStatus, HeldItem, NodeStatus, State
from smartnode.domain.swarm import SwarmView
from smartnode.domain.tracker import TrackerHealth
from smartnode.domain.wishes import Wish


class DecisionSource(Protocol):
    """Where decisions are kept."""

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return past decisions, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this node says it is, and the proxy that it stands behind, without credentials."""

    version: str
    name: str
    network_id: str
    node_id: NodeId
    proxy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the rooms say now."""

    at: datetime
    cycle: int
    listen_port: int
    snapshot: Snapshot | None
    holdings: Mapping[InfoHash, Holding]
    views: Mapping[InfoHash, SwarmView]
    mirrors: Mapping[InfoHash, tuple[Mirror, ...]]
    trackers: tuple[TrackerHealth, ...]
    room: Room | None
    outcome: Outcome | None
    degraded: tuple[str, ...]
    wishes: tuple[Wish, ...]


class NodeBoard:
    """The published status and the way to the decisions; fits the API's Board."""

    def __init__(self, identity: Identity, decisions: DecisionSource, *, now: datetime) -> None:
        """Show a starting node until the first status is published."""
        self._identity = identity
        self._decisions = decisions
        nothing = Seen(
            at=now,
            cycle=0,
            listen_port=0,
            snapshot=None,
            holdings={},
            views={},
            mirrors={},
            trackers=(),
            room=None,
            outcome=None,
            degraded=(),
            wishes=(),
        )
        self._status = self._build(nothing)

    def status(self) -> NodeStatus:
        """Return the last published status."""
        return self._status

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return past decisions, newest first."""
        return await self._decisions.decisions(limit=limit, info_hash=info_hash)

    def publish(self, seen: Seen) -> None:
        """Replace the status."""
        self._status = self._build(seen)

    def _build(self, seen: Seen) -> NodeStatus:
        items = seen.snapshot.items if seen.snapshot is not None else ()
        return NodeStatus(
            at=seen.at,
            cycle=seen.cycle,
            state=_state(seen),
            version=self._identity.version,
            name=self._identity.name,
            network_id=self._identity.network_id,
            node_id=self._identity.node_id,
            listen_port=seen.listen_port,
            degraded=seen.degraded,
            room=seen.room,
            catalogue=_catalogue(seen.snapshot),
            plan=seen.outcome.plan if seen.outcome is not None else None,
            items=items,
            held=_held(items, seen),
            views=dict(seen.views),
            mirrors=dict(seen.mirrors),
            trackers=seen.trackers,
            proxy=self._identity.proxy,
            wishes=seen.wishes,
        )


def _state(seen: Seen) -> State:
    if seen.outcome is None:
        return State.STARTING
    if seen.room is not None and seen.room.over_quota:
        return State.OVER_QUOTA
    fetching = any(h.in_flight_bytes for h in seen.holdings.values())
    return State.FETCHING if fetching else State.STEADY


def _catalogue(snapshot: Snapshot | None) -> CatalogueStatus:
    if snapshot is None:
        return CatalogueStatus(seq=None, items=0, with_torrent=0, verified=False, accepted_at=None, source=None)
    return CatalogueStatus(
        seq=snapshot.seq,
        items=snapshot.good,
        with_torrent=snapshot.with_torrent,
        verified=snapshot.verified,
        accepted_at=snapshot.accepted_at,
        source=snapshot.source,
    )


def _held(items: Sequence[Item], seen: Seen) -> dict[InfoHash, HeldItem]:
    """Join holdings with the catalogue; of two ids with one info-hash the first by key names it, as in the plan."""
    by_hash = by_info_hash(items)
    return {
        h: HeldItem(item=by_hash.get(h), holding=holding, view=seen.views.get(h))
        for h, holding in seen.holdings.items()
    }
