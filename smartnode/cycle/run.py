"""The one path, once per cycle: candidates, look, plan, difference, apply, remember, publish.

Level-triggered: nothing but the ledger, resume data and files outlives a cycle, so a crash costs one cycle. A room's
failure ends its step: the cycle goes on with what it has, says degraded and evicts nothing on missing evidence.
Looking comes before leaping: a segment is started only when its swarm was looked at in this very cycle.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from smartnode.cycle.adoption import Adoption
from smartnode.cycle.apply import Applied, Apply
from smartnode.cycle.backoff import Backoff
from smartnode.cycle.candidates import Field, read_unknown_cuts, survey
from smartnode.cycle.counting import Counting
from smartnode.cycle.leaving import Leaving
from smartnode.cycle.metainfos import Metainfos
from smartnode.cycle.mirroring import Mirroring
from smartnode.cycle.outcome import Outcome
from smartnode.cycle.rooms import Rooms, measure
from smartnode.cycle.sight import Sight
from smartnode.cycle.stalls import PATIENCE, Stalls
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Plan
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.domain.wishes import NO_WISHES, Wishes
from smartnode.errors import LedgerError
from smartnode.planning.difference import Difference, difference, targets
from smartnode.planning.guard import Hearing
from smartnode.planning.plan import BLIND, make_plan
from smartnode.planning.policy import Policy
from smartnode.planning.selection import EVERYTHING, Selection

LOOKS_MAX = 3  # rounds of looking before one leap
ROUNDS_MAX = 5  # of deciding again because items failed
COOLING_CYCLES = 8

log = structlog.get_logger(__name__)


class Cycle:
    """Runs cycles; keeps the views (a copy of the ledger's), the backoff of failing items and C^ of the last cycle."""

    def __init__(
        self, rooms: Rooms, *, node_id: NodeId, policy: Policy, probes: int | None, selection: Selection = EVERYTHING
    ) -> None:
        """Walk through *rooms* as *node_id*; *probes* None: the budget follows the catalogue's size."""
        self._rooms = rooms
        self._node_id = node_id
        self.policy = policy
        self.probes = probes
        self.selection = selection
        self._backoff = Backoff()
        self._metainfos = Metainfos(rooms.catalogue, self._backoff)
        self.counting = Counting(rooms.trackers, rooms.engine, rooms.ledger)
        self.mirroring = Mirroring(
            engine=rooms.engine,
            sources=rooms.sources,
            ledger=rooms.ledger,
            metainfos=self._metainfos,
            backoff=self._backoff,
        )
        self._sight = Sight(
            engine=rooms.engine,
            swarm=rooms.swarm,
            sources=rooms.sources,
            ledger=rooms.ledger,
            scrapes=self.counting.scrapes,
        )
        self._leaving = Leaving(rooms, node=node_id)
        self._apply = Apply(rooms.engine, self._metainfos, self._backoff)
        self._adoption = Adoption(rooms.engine, rooms.disk, self._metainfos)
        self._capacity: Bytes | None = None
        self._growth = Bytes(0)
        self._stalls = Stalls()
        self._cooling = 0
        self._hurried = asyncio.Event()
        self._number = 0
        self._notes: list[str] = []
        self._wishes = NO_WISHES

    @property
    def number(self) -> int:
        """Cycles closed since the start."""
        return self._number

    @property
    def views(self) -> dict[InfoHash, SwarmView]:
        """What is known of the swarms now; a copy."""
        return self._sight.all_views()

    async def start(self) -> None:
        """Take up what the ledger kept."""
        await self._sight.start()
        await self._leaving.tenures.start(self._sight.all_views())
        await self.counting.start()
        await self.mirroring.start()
        await self._leaving.start()

    async def witness(self, now: datetime) -> None:
        """Look at what is held while the epoch is quiet, between cycles: what may leave later in it depends on that."""
        if ask := self._leaving.to_witness(self.policy, now):
            snapshot = self._rooms.catalogue.current()
            await self._look(ask, self._survey(snapshot.items if snapshot is not None else (), now), now)

    def hurry(self) -> None:
        """Let the cycle under way end soon: the host needs its disk, and the next cycle gives it back."""
        self._hurried.set()

    async def run(self, now: datetime) -> Outcome:
        """Walk the path once."""
        self._hurried.clear()
        self._notes = list(self._rooms.catalogue.degraded())
        await self._hear()
        snapshot = self._rooms.catalogue.current()
        room, why = await measure(self._rooms)
        self._notes += why
        if snapshot is None and not self._notes:
            self._notes.append("catalogue: none was accepted yet; nothing is fetched until one is")
        plan: Plan | None = None
        applied = Applied()
        if room is not None:
            try:
                plan, applied = await self._walk(snapshot, room, now)
            finally:
                await self._leaving.tenures.keep(now)
            self._notes += plan.degraded
            self._growth = Bytes(max(0, plan.capacity - (plan.capacity if self._capacity is None else self._capacity)))
            self._capacity = plan.capacity
        await self._remember(applied)
        self._number += 1
        outcome = Outcome(room=room, plan=plan, applied=applied, degraded=tuple(dict.fromkeys(self._notes)))
        outcome.log(self._number)
        return outcome

    async def _walk(self, snapshot: Snapshot | None, room: Room, now: datetime) -> tuple[Plan, Applied]:
        """Give back what must go, then decide and apply; items that fail make room for others in the same cycle."""
        items = snapshot.items if snapshot is not None else ()
        applied = Applied()
        if room.disk_room < 0 or room.over_quota or self._fetches_excluded():
            applied = await self._relieve(items, room, now)
            room = (await measure(self._rooms))[0] or room
        if room.over_quota:
            self._notes.append(
                f"disk: {room.over_quota} bytes over the quota; nothing is fetched, nothing goes unproved"
            )
        self._cool(applied)
        applied = applied.plus(await self._let_go(items, room, now))
        await self._give_up_stalled(now)
        await self._adoption.run(snapshot, now)
        await read_unknown_cuts(
            items, self._metainfos, self._backoff, wishes=self._wishes, selection=self.selection, now=now
        )
        looked: set[InfoHash] = set()
        plan, todo = await self._decide(items, room, looked, now)
        for _ in range(ROUNDS_MAX):
            part = await self._apply.apply(plan, todo, items=items, now=now, cycle=self._number + 1)
            applied = applied.plus(part)
            await self._sight.introduce({s.info_hash for s in todo.started}, now)
            enough = 2 * applied.started_bytes >= self.policy.pace * room.quota
            if not part.failed or enough or self._hurried.is_set():
                break
            again = (await measure(self._rooms, walk=False))[0]
            if again is None:
                break
            plan, todo = await self._decide(items, again, looked, now)
        return plan, applied

    async def _hear(self) -> None:
        """Read the volunteer's words; what was heard last holds while they cannot be read."""
        try:
            self._wishes = Wishes.of(await self._rooms.ledger.wishes())
        except LedgerError as error:
            self._notes.append(f"ledger: {error}")

    def _fetches_excluded(self) -> bool:
        """Say whether something that the volunteer excluded is still on its way."""
        holdings = self._rooms.engine.holdings()
        return any(holdings[h].missing.count() for h in self._wishes.excluded & holdings.keys())

    async def _relieve(self, items: Sequence[Item], room: Room, now: datetime) -> Applied:
        """Drop promises and let go what the floor forces, on what is known already; stop what is excluded."""
        return await self._release(await self._plan(self._survey(items, now), room, now), items, room, now)

    async def _let_go(self, items: Sequence[Item], room: Room, now: datetime) -> Applied:
        """Let go what others are proved to hold."""
        if room.below_floor:
            return Applied()
        field = self._survey(items, now)
        plan, look = partial(self._plan, field, room, now), partial(self._look, field=field, now=now)
        over, off = room.over_quota > 0, self._hurried
        proved = await self._leaving.decide(plan, look, over_quota=over, policy=self.policy, now=now, called_off=off)
        if proved is None or not proved.evictions:
            return Applied()
        return await self._release(proved, items, room, now, before=self._leaving.deadline)

    async def _release(
        self, plan: Plan, items: Sequence[Item], room: Room, now: datetime, *, before: float | None = None
    ) -> Applied:
        """Let go what *plan* gives up, and begin nothing; *before*: until when that is permitted."""
        todo = difference(
            replace(plan, order=()),
            holdings=self._rooms.engine.holdings(),
            room=room,
            policy=self.policy,
            layouts={},  # what is let go is held, and nothing else is asked for
        )
        return await self._apply.apply(plan, todo, items=items, now=now, cycle=self._number + 1, before=before)

    async def _give_up_stalled(self, now: datetime) -> None:
        """Give up promises that nobody keeps; what is held of such a torrent stays."""
        holdings = self._rooms.engine.holdings()
        for info_hash in self._stalls.stalled(holdings, now):
            reason = f"no piece arrived for {PATIENCE}"
            self._backoff.failed(info_hash, reason, now)
            log.warning("item.stalled", info_hash=info_hash, reason=reason)
            await self._apply.remap(info_hash, holdings[info_hash].have)

    def _cool(self, applied: Applied) -> None:
        """After data was let go for the host nothing is fetched for a while, or it would be let go again."""
        self._cooling = COOLING_CYCLES if applied.evicted_bytes else max(0, self._cooling - 1)
        if self._cooling:
            self._notes.append(f"disk: data was let go for keep_free; fetching waits for {self._cooling} more cycles")

    async def _decide(
        self, items: Sequence[Item], room: Room, looked: set[InfoHash], now: datetime
    ) -> tuple[Plan, Difference]:
        """Plan, look where the plan would leap, plan again; what was not looked at waits for the next cycle."""
        field = self._survey(items, now)
        ask = [] if looked else self._sight.stalest(field.layouts, probes=self.probes, node=self._node_id, now=now)
        await self._look(ask, field, now)
        looked.update(ask)
        plan = await self._plan(field, room, now)
        for _ in range(LOOKS_MAX - 1):
            ask = [h for h in targets(plan, self.policy, room) if h not in looked]
            if not ask or self._hurried.is_set():
                break
            await self._look(ask, field, now)
            looked.update(ask)
            plan = await self._plan(field, room, now)
        may_start = not self._cooling and not self._hurried.is_set()
        order = tuple(s for s in plan.order if may_start and s.info_hash in looked)
        holdings = self._rooms.engine.holdings()
        todo = difference(
            replace(plan, order=order), holdings=holdings, room=room, policy=self.policy, layouts=field.layouts
        )
        if room.over_quota:  # readers see what the guard was told; what may go goes by `_let_go`
            told = await self._plan(field, room, now, hearing=self._leaving.hearing(self.policy, now))
            plan = replace(plan, evict=told.evict)
        return replace(plan, declined=plan.declined.plus(field.waiting)), todo

    def _survey(self, items: Sequence[Item], now: datetime) -> Field:
        return survey(
            items,
            holdings=self._rooms.engine.holdings(),
            metainfos=self._metainfos,
            backoff=self._backoff,
            wishes=self._wishes,
            selection=self.selection,
            now=now,
        )

    async def _plan(
        self, field: Field, room: Room, now: datetime, *, hearing: Hearing = BLIND, swapping: bool = False
    ) -> Plan:
        return await asyncio.to_thread(
            make_plan,
            field.candidates,
            views=self._sight.views(field.layouts),
            holdings=self._rooms.engine.holdings(),
            room=room,
            policy=self.policy,
            node_id=self._node_id,
            now=now,
            growth=self._growth,
            wishes=self._wishes,
            hearing=hearing,
            swapping=swapping,
        )

    async def _look(self, hashes: Sequence[InfoHash], field: Field, now: datetime) -> None:
        """Look at swarms now, and at their mirrors when there is time."""
        self._notes += await self._sight.look(hashes, layouts=field.layouts, items=field.items, now=now)
        self._leaving.saw(self._sight.views(hashes), self.policy, now)
        self.mirroring.notice(field.items[h] for h in hashes if h in field.items)

    async def _remember(self, applied: Applied) -> None:
        try:
            await self._rooms.ledger.close_cycle(applied.decisions)
        except LedgerError as error:
            self._notes.append(f"ledger: {error}")
