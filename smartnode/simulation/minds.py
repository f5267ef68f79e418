"""How a node decides: the functions of planning/ on what it sees, in the order of a real cycle.

Look, choose, look at what is to be begun ("look before you leap"), choose again, begin a paced part. A full node swaps
in its period, one over its quota shrinks; both ask the guard, with every smartnode that was seen in the epoch.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import NODE_ID_PREFIX, node_id
from smartnode.domain.pieces import Bytes
from smartnode.planning.difference import pace_of, paced
from smartnode.planning.evict import shrink
from smartnode.planning.fetch import choose, gate_of
from smartnode.planning.field import Field, lay_out
from smartnode.planning.guard import Evidence, Hearing, Rival, Stakes, judge
from smartnode.planning.policy import Policy
from smartnode.planning.ranks import rank
from smartnode.planning.survey import credit_of
from smartnode.planning.swap import exchange, take
from smartnode.planning.terms import swap_draw
from smartnode.simulation.eyes import Eyes
from smartnode.simulation.scenario import Rule, Scenario
from smartnode.simulation.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = np.zeros(0, dtype=np.int64)
LOOKS = 3
"""How often a cycle looks before it leaps: what it finds may send it elsewhere."""

_NOBODY: frozenset[int] = frozenset()


class Permits(Protocol):
    """Says whether a segment may go; *urgent*: a first copy comes for it."""

    def __call__(self, segment: int, urgent: bool = False, /) -> bool: ...  # noqa: FBT001, FBT002, D102 - called by position


def _always(_: int, _urgent: bool = False) -> bool:  # noqa: FBT001, FBT002 - called by position
    return True


class Minds:
    """The decisions of all nodes; keeps what a node keeps between cycles."""

    def __init__(self, scenario: Scenario, world: World, eyes: Eyes, policy: Policy) -> None:
        """Decide in *world*, by what *eyes* see."""
        nodes, segments = world.held.shape
        self._scenario = scenario
        self._world = world
        self._eyes = eyes
        self._policy = policy
        self._least = int(world.archive.size.min())
        self._capacity = np.full(nodes, -1, dtype=np.int64)
        self._period = np.full(nodes, -1, dtype=np.int64)
        self._zeros = np.zeros(segments)
        self._offered = np.ones(segments, dtype=np.bool_)
        self._nothing = np.zeros(segments, dtype=np.bool_)
        self._pretenders = _pretend(scenario)
        self._gone: dict[int, set[int]] = {}
        self._ranks: dict[tuple[int, int], float] = {}  # of this epoch
        self._epoch = -1
        self._first = 0  # cycle of this epoch
        self._present = [0] * nodes  # a bit for each cycle of this epoch that a node was online in
        self._looked = np.zeros(nodes, dtype=np.bool_)  # online in this epoch's quiet window
        self.mirrors = 1
        """Live web seeds of every dataset."""

    def now(self, tick: int) -> datetime:
        """Return the time of a cycle; cycles begin a minute after the epochs do."""
        return START + timedelta(seconds=tick * self._scenario.cycle_s + 60)

    def begin(self, tick: int) -> None:
        """Note who is there; forget what was seen in the last epoch when a new one begins."""
        terms, now, online = self._policy.terms, self.now(tick), self._world.online
        epoch = terms.epoch_of(now)
        if epoch != self._epoch:
            self._epoch, self._first, self._gone, self._ranks = epoch, tick, {}, {}
            self._present = [0] * len(online)
            self._looked[:] = False
        for node in np.flatnonzero(online).tolist():
            self._present[node] |= 1 << (tick - self._first)
        if terms.is_quiet(now):
            self._looked |= online

    def evicted(self, leaving: dict[int, NDArray[np.int64]]) -> None:
        """Remember who was seen with a segment in this epoch and is not any more."""
        for node, segments in leaving.items():
            for segment in segments.tolist():
                self._gone.setdefault(segment, set()).add(node)

    def replaced(self, node: int) -> None:
        """A new node begins without memories, and with ranks of its own."""
        self._capacity[node] = -1
        self._looked[node] = False
        self._ranks = {key: found for key, found in self._ranks.items() if key[0] != node}

    def decide(self, node: int, tick: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the segments that *node* begins to fetch, and those that it lets go."""
        world = self._world
        self._eyes.glance(node, tick)
        field = self._field(node, tick)
        capacity = int(field.capacity)
        growth = capacity - int(self._capacity[node]) if self._capacity[node] >= 0 else 0
        self._capacity[node] = capacity
        free = int(world.quota[node] - world.used[node])
        if free < 0:
            return NOTHING, self._shrink(node, tick, field, -free)
        if free >= self._least:
            chosen = self._fetch(node, tick, field, free=free, growth=growth)
            if len(chosen):
                return chosen, NOTHING
        number = self._policy.terms.swap_number(world.fleet.names[node], self.now(tick))
        if number == self._period[node]:
            return NOTHING, NOTHING
        self._period[node] = number
        return NOTHING, self._swap(node, tick, field, free=free, growth=growth)

    def _field(self, node: int, tick: int) -> Field:
        world, eyes, size = self._world, self._eyes, self._world.archive.size
        held, flying = world.held[node], world.flying[node]
        return lay_out(
            size=size,
            cost=np.where(held | flying, 0, size),
            held=np.where(held, size, 0),
            copies=eyes.copies[node].astype(np.int64),
            coming=eyes.coming[node].astype(np.int64),
            known=eyes.known(node, tick),
            offered=self._offered,
            pinned=self._nothing,
            excluded=self._nothing,
            merit=self._zeros,
            credit=self._zeros + credit_of(self.mirrors, self._policy),
            g=world.fleet.ranks[node].astype(np.float64),
        )

    def _fetch(self, node: int, tick: int, field: Field, *, free: int, growth: int) -> NDArray[np.int64]:
        world, looked = self._world, self._eyes.looked[node]
        for _ in range(LOOKS):
            chosen = self._start_of(node, choose(field, free=Bytes(free), growth=Bytes(growth)).chosen, free)
            targets = np.zeros(len(world.archive.info_hashes), dtype=np.bool_)
            targets[world.archive.owner[chosen]] = True
            stale = targets & (looked < tick)
            if not stale.any():
                return chosen
            self._eyes.look(node, tick, stale)
            field = self._field(node, tick)
        chosen = choose(field, free=Bytes(free), growth=Bytes(growth)).chosen
        return self._start_of(node, chosen[looked[world.archive.owner[chosen]] == tick], free)

    def _start_of(self, node: int, chosen: NDArray[np.int64], free: int) -> NDArray[np.int64]:
        """Return what one cycle begins of *chosen*."""
        promised = int(self._world.promised[node])
        pace = pace_of(self._policy, quota=int(self._world.quota[node]), in_flight=promised)
        return chosen[paced(self._world.archive.size[chosen].tolist(), left=free, pace=pace)]

    def _shrink(self, node: int, tick: int, field: Field, excess: int) -> NDArray[np.int64]:
        held = field.worth_less(np.flatnonzero(field.held))
        permits = self._guard(node, tick, floor=gate_of(field, Bytes(0)) - 1, shrunk=True)
        gone, _ = shrink(held, field.held, excess, permits=permits)
        return gone

    def _swap(self, node: int, tick: int, field: Field, *, free: int, growth: int) -> NDArray[np.int64]:
        gate, now = gate_of(field, Bytes(free)), self.now(tick)
        name, quota = self._world.fleet.names[node], int(self._world.quota[node])
        found = exchange(field, gate=gate, quota=Bytes(quota), growth=Bytes(growth), policy=self._policy)
        if not len(found.leaving):
            return NOTHING
        draw = swap_draw(name, self._policy.terms.swap_number(name, now))
        permits = self._guard(node, tick, floor=gate - 1, shrunk=False)
        return take(found, field.held, draw=draw, permitted=permits)

    def _guard(self, node: int, tick: int, *, floor: int, shrunk: bool) -> Permits:
        if self._scenario.rule is Rule.NO_GUARD:
            return _always
        now, terms = self.now(tick), self._policy.terms
        name = self._world.fleet.names[node]

        def permits(segment: int, urgent: bool = False) -> bool:  # noqa: FBT001, FBT002 - called by position
            if self._is_outranked(node, segment):
                return False  # as the guard would say, before the evidence is put together
            key = self._world.archive.name(segment)
            stakes = Stakes(floor=floor, shrunk=shrunk, mirrors=self.mirrors, urgent=urgent)
            hearing = Hearing(evidence={key: self._evidence(node, segment, tick)}, clock=None)
            return judge(hearing, key, stakes, node=name, now=now, terms=terms).permitted

        return permits

    def _is_outranked(self, node: int, segment: int) -> bool:
        """Somebody who was seen with *segment* in this epoch is ranked below *node*."""
        own = self._rank(node, segment)
        return any(self._rank(other, segment) < own for other in self._seen(node, segment))

    def _rank(self, node: int, segment: int) -> float:
        found = self._ranks.get((node, segment))
        if found is None:
            info_hash, number = self._world.archive.name(segment)
            found = rank(self._world.fleet.names[node], info_hash, segment=number, epoch=self._epoch)
            self._ranks[node, segment] = found
        return found

    def _seen(self, node: int, segment: int) -> Iterator[int]:
        """Yield the others that *node* saw with *segment* since the epoch began, also those who went offline since."""
        present, mine = self._present, self._present[node]
        for other in (*self._world.holders[segment], *self._gone.get(segment, _NOBODY)):
            if other != node and mine & present[other] and self._eyes.can_see(node, other):
                yield other

    def _evidence(self, node: int, segment: int, tick: int) -> Evidence:
        """Return every smartnode that *node* saw with *segment* since the epoch began; those online are proved."""
        world, seen = self._world, []
        for other in self._seen(node, segment):
            held = other in world.holders[segment] and bool(world.online[other])
            age = timedelta(seconds=float(tick - world.since[other, segment]) * self._scenario.cycle_s)
            name, proved = world.fleet.names[other], True if held else None
            seen.append(Rival(node=name, group=str(other), holds=held, age=age, proved=proved))
        return Evidence(rivals=(*seen, *self._pretenders), looked_quiet=bool(self._looked[node]))


def _pretend(scenario: Scenario) -> tuple[Rival, ...]:
    """Those who claim every segment: liars fail the proof, relaying Sybils pass it."""
    return tuple(
        Rival(
            node=node_id(NODE_ID_PREFIX + b"none" + each.to_bytes(8, "big")),
            group=f"pretender {each}",
            holds=True,
            age=timedelta(days=9),
            proved=each >= scenario.liars,
        )
        for each in range(scenario.liars + scenario.sybils)
    )
