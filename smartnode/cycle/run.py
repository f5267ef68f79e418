"""The one path, once per cycle: candidates, look, plan, difference, apply, remember, publish.

Level-triggered: nothing but the ledger, resume data and files outlives a cycle, so a crash costs one cycle. A room's
failure ends its step: the cycle goes on with what it has, says degraded and evicts nothing on missing evidence.
Looking comes before leaping: a segment is started only when its swarm was looked at in this very cycle.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from smartnode.cycle.apply import Applied, Apply
from smartnode.cycle.backoff import Backoff
from smartnode.cycle.looking import probe_budget, stalest
from smartnode.cycle.needs import CatalogueRoom, DiskRoom, EngineRoom, LedgerRoom, Look, SwarmRoom
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes, Layout
from smartnode.domain.plan import Because, Plan, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.errors import DiskError, LedgerError, MetainfoError
from smartnode.planning.difference import Difference, difference, targets
from smartnode.planning.plan import make_plan
from smartnode.planning.policy import Candidate, Policy

LOOKS_MAX = 3  # rounds of looking before one leap
LAYOUTS_PER_CYCLE = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The rooms that a cycle walks through."""

    catalogue: CatalogueRoom
    engine: EngineRoom
    swarm: SwarmRoom
    disk: DiskRoom
    ledger: LedgerRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one cycle leaves behind for readers. *room* None: the disk could not be measured; *plan* None: none was
    made.
    """

    room: Room | None
    plan: Plan | None
    applied: Applied
    degraded: tuple[str, ...]


class Cycle:
    """Runs cycles; keeps the views (a copy of the ledger's), the backoff of failing items and C^ of the last cycle."""

    def __init__(self, rooms: Rooms, *, node_id: NodeId, policy: Policy, probes: int | None) -> None:
        """Walk through *rooms* as *node_id*; *probes* None: the budget follows the catalogue's size."""
        self._rooms = rooms
        self._node_id = node_id
        self.policy = policy
        self.probes = probes
        self._views: dict[InfoHash, SwarmView] = {}
        self._backoff = Backoff()
        self._capacity: Bytes | None = None
        self._growth = Bytes(0)
        self._layouts: dict[InfoHash, Layout] = {}
        self._apply = Apply(rooms.engine, rooms.catalogue, self._backoff)
        self._number = 0
        self._notes: list[str] = []

    @property
    def number(self) -> int:
        """Cycles closed since the start."""
        return self._number

    @property
    def views(self) -> dict[InfoHash, SwarmView]:
        """What is known of the swarms now; a copy."""
        return dict(self._views)

    async def start(self) -> None:
        """Take up the views that the ledger kept."""
        self._views = await self._rooms.ledger.views()

    async def run(self, now: datetime) -> Outcome:
        """Walk the path once."""
        self._notes = degraded = list(self._rooms.catalogue.degraded())
        snapshot = self._rooms.catalogue.current()
        room, why = await measure(self._rooms)
        degraded += why
        if snapshot is None and not degraded:
            degraded.append("catalogue: none was accepted yet; nothing is fetched until one is")
        plan: Plan | None = None
        applied = Applied()
        if room is not None:
            plan, todo = await self._decide(snapshot, room, now)
            applied = await self._apply.apply(
                plan, todo, items=snapshot.items if snapshot is not None else (), now=now, cycle=self._number + 1
            )
            degraded += plan.degraded
            self._growth = Bytes(max(0, plan.capacity - (plan.capacity if self._capacity is None else self._capacity)))
            self._capacity = plan.capacity
        degraded += await self._remember(applied)
        self._number += 1
        _log_closed(self._number, plan, applied, degraded)
        return Outcome(room=room, plan=plan, applied=applied, degraded=tuple(dict.fromkeys(degraded)))

    async def _decide(self, snapshot: Snapshot | None, room: Room, now: datetime) -> tuple[Plan, Difference]:
        """Plan, look where the plan would leap, plan again; what was not looked at waits for the next cycle."""
        items = snapshot.items if snapshot is not None else ()
        candidates, waiting = await self._candidates(items, now)
        layouts = {
            c.item.torrent.info_hash: c.layout
            for c in candidates
            if c.item.torrent is not None and c.layout is not None
        }
        layouts |= {h: holding.layout for h, holding in self._rooms.engine.holdings().items()}
        budget = probe_budget(snapshot.with_torrent if snapshot is not None else 0, self.probes)
        ask = stalest(layouts, self._views, budget)
        looked: set[InfoHash] = set()
        for _ in range(LOOKS_MAX):
            await self._look([h for h in ask if h not in looked], layouts, now)
            looked.update(ask)
            plan = await self._plan(candidates, room, now)
            ask = list(targets(plan, self.policy, room))
            if looked.issuperset(ask):
                break
        else:
            plan = await self._plan(candidates, room, now)
        todo = difference(
            replace(plan, order=tuple(s for s in plan.order if s.info_hash in looked)),
            holdings=self._rooms.engine.holdings(),
            room=room,
            policy=self.policy,
            layouts=layouts,
        )
        return replace(plan, declined=(*plan.declined, *waiting)), todo

    async def _plan(self, candidates: Sequence[Candidate], room: Room, now: datetime) -> Plan:
        return await asyncio.to_thread(
            make_plan,
            candidates,
            views=dict(self._views),
            holdings=self._rooms.engine.holdings(),
            room=room,
            policy=self.policy,
            node_id=self._node_id,
            now=now,
            growth=self._growth,
        )

    async def _candidates(self, items: Sequence[Item], now: datetime) -> tuple[list[Candidate], tuple[PlanEntry, ...]]:
        """Return what may be placed now, and what waits after a failure; reads a few unknown cuts from .torrent
        files.
        """
        candidates: list[Candidate] = []
        waiting: list[PlanEntry] = []
        unread = LAYOUTS_PER_CYCLE
        held = self._rooms.engine.holdings()
        for item in items:
            torrent = item.torrent
            if torrent is None:
                candidates.append(Candidate(item=item, layout=None))
                continue
            failure = self._backoff.waiting(torrent.info_hash, now)
            if failure is not None and torrent.info_hash not in held:
                waiting.append(_waiting(item, failure.reason, failure.until))
                continue
            layout = torrent.layout or self._layouts.get(torrent.info_hash)
            if layout is None and unread > 0:
                unread -= 1
                layout = await self._read_layout(item, torrent.info_hash, now)
            candidates.append(Candidate(item=item, layout=layout))
        return candidates, tuple(waiting)

    async def _read_layout(self, item: Item, info_hash: InfoHash, now: datetime) -> Layout | None:
        try:
            metainfo = await self._rooms.catalogue.metainfo(item)
        except MetainfoError as error:
            self._backoff.failed(info_hash, str(error), now)
            return None
        self._layouts[info_hash] = metainfo.layout
        return metainfo.layout

    async def _look(self, hashes: Sequence[InfoHash], layouts: dict[InfoHash, Layout], now: datetime) -> None:
        """Look at swarms, remember what was seen, and tell the engine whom it may ask for what is missing."""
        if not hashes:
            return
        engine = self._rooms.engine
        held = engine.holdings()
        looks = [
            Look(
                info_hash=h,
                num_pieces=layouts[h].num_pieces,
                known=self._views.get(h),
                connected=await engine.connected(h, now) if h in held else (),
            )
            for h in hashes
            if h in layouts
        ]
        views = await self._rooms.swarm.look(looks, now)
        self._views.update({v.info_hash: v for v in views})
        for view in views:
            holding = held.get(view.info_hash)
            if holding is not None and holding.missing.count():
                await engine.introduce(view.info_hash, [h.address for h in view.holders if h.last_contact == now])
        try:
            await self._rooms.ledger.remember(views)
        except LedgerError as error:
            self._notes.append(f"ledger: {error}")

    async def _remember(self, applied: Applied) -> list[str]:
        try:
            await self._rooms.ledger.close_cycle(applied.decisions)
        except LedgerError as error:
            return [f"ledger: {error}"]
        return []


async def measure(rooms: Rooms, *, walk: bool = True) -> tuple[Room | None, list[str]]:
    """Measure the disk with all that is in flight, walking the folders or not; (None, why) when it cannot be done."""
    in_flight = Bytes(sum(h.in_flight_bytes for h in rooms.engine.holdings().values()))
    try:
        return await (rooms.disk.measure if walk else rooms.disk.glance)(in_flight), []
    except DiskError as error:
        return None, [f"disk: {error}"]


def _waiting(item: Item, reason: str, until: datetime) -> PlanEntry:
    torrent = item.torrent
    return PlanEntry(
        item=item.key,
        info_hash=torrent.info_hash if torrent else None,
        segments=(),
        bytes=torrent.size if torrent else Bytes(0),
        item_bytes=torrent.size if torrent else Bytes(0),
        because=Because(
            rule=Rule.FAILED,
            text=f"failed ({reason}), tried again after {until:%Y-%m-%dT%H:%M:%SZ}",
            evidence={"reason": reason, "until": until.isoformat()},
        ),
    )


def _log_closed(number: int, plan: Plan | None, applied: Applied, degraded: Sequence[str]) -> None:
    log.info(
        "cycle.closed",
        cycle=number,
        fetch=len(plan.order) if plan else 0,
        keep=len(plan.keep) if plan else 0,
        declined=len(plan.declined) if plan else 0,
        started_bytes=applied.started_bytes,
        evicted_bytes=applied.evicted_bytes,
        failed=applied.failed,
        water_level=round(plan.level, 3) if plan and plan.level is not None else None,
        degraded=list(degraded),
    )
