"""What happens to a fleet beside its own decisions: arrivals, absences, deaths, lowered quotas, lost mirrors.

A node that goes offline, or dies, is remembered by the others for T_mem. A dead node is replaced by an empty one with
another id, so that the fleet keeps its size.
"""

import heapq

import numpy as np

from smartnode.domain.identity import NODE_ID_PREFIX, node_id
from smartnode.planning.policy import Policy
from smartnode.simulation.eyes import Eyes
from smartnode.simulation.minds import Minds
from smartnode.simulation.scenario import Scenario
from smartnode.simulation.world import Mask, World

_FORGOTTEN = 1 << 60

ABSENCE_H = 8.0
"""Mean length of a spell offline."""


class Events:
    """Applies a scenario's events to the world, cycle by cycle."""

    def __init__(self, scenario: Scenario, world: World, *, eyes: Eyes, minds: Minds, policy: Policy) -> None:
        """Prepare the events of *scenario*; nodes that have not arrived yet are offline."""
        self._scenario = scenario
        self._world = world
        self._eyes = eyes
        self._minds = minds
        self._dice = np.random.default_rng([scenario.seed, 5])
        self._memory = round(policy.t_mem.total_seconds() / scenario.cycle_s)
        self._day = 86_400 / scenario.cycle_s
        self._away: dict[int, int] = {}  # node to the cycle in which it is forgotten
        self._dead: list[tuple[int, int, Mask]] = []
        self._number = 0
        self._event = scenario.tick_of(scenario.event_h)
        count = scenario.nodes
        arrival = self._dice.random(count) * scenario.tick_of(scenario.arrive_h)
        low = max(0.05, 2 * scenario.uptime - 1)
        self._uptime = self._dice.uniform(low, 1.0, count) if scenario.uptime < 1 else np.ones(count)
        self._next = np.where(arrival >= 1, arrival, [self._spell(node) for node in range(count)])
        for node in np.flatnonzero(arrival >= 1).tolist():
            world.leave(node)

    def _spell(self, node: int) -> float:
        """Cycles until an online node goes offline."""
        share = float(self._uptime[node])
        if share >= 1:
            return float("inf")
        return float(self._dice.exponential(self._scenario.tick_of(ABSENCE_H) * share / (1 - share))) + 1

    def happen(self, tick: int) -> None:
        """Let happen what happens in cycle *tick*."""
        for node in np.flatnonzero(self._next <= tick).tolist():
            self._toggle(node, tick)
        for node in [each for each, until in self._away.items() if until <= tick]:
            self._world.forget(self._world.held[node])
            self._world.absent[node] = False
            self._away[node] = _FORGOTTEN
        while self._dead and self._dead[0][0] <= tick:
            self._world.forget(heapq.heappop(self._dead)[2])
            self._world.departed -= 1
        if self._scenario.deaths_per_day:
            dying = self._dice.random(self._scenario.nodes) < self._scenario.deaths_per_day / self._day
            for node in np.flatnonzero(dying & self._world.online).tolist():
                self._die(node, tick)
                self._replace(node, tick)
        if tick == self._event:
            self._strike(tick)

    def _toggle(self, node: int, tick: int) -> None:
        world = self._world
        if world.online[node]:
            world.leave(node)
            self._away[node] = tick + self._memory
            self._next[node] = tick + float(self._dice.exponential(self._scenario.tick_of(ABSENCE_H))) + 1
            return
        until = self._away.pop(node, None)
        world.come_back(node, remembered=until is not None and until < _FORGOTTEN)
        self._next[node] = tick + self._spell(node)

    def _strike(self, tick: int) -> None:
        scenario = self._scenario
        if scenario.mass_death:
            victims = self._dice.permutation(scenario.nodes)[: round(scenario.mass_death * scenario.nodes)]
            for node in victims.tolist():
                self._die(node, tick)
                self._world.quota[node] = 0
        if scenario.shrink_to is not None:
            self._world.quota[:] = self._world.fleet.quota * (scenario.shrink_to / scenario.capacity_ratio)
        if scenario.mirror_death:
            self._minds.mirrors = 0

    def _die(self, node: int, tick: int) -> None:
        forgotten = self._away.pop(node, 0) == _FORGOTTEN
        lost = self._world.die(node)
        self._next[node] = float("inf")
        self._number += 1
        if not forgotten:
            heapq.heappush(self._dead, (tick + self._memory, self._number, lost))
            self._world.departed += 1

    def _replace(self, node: int, tick: int) -> None:
        name = node_id(NODE_ID_PREFIX + self._dice.bytes(12))
        self._world.fleet.rename(node, name, self._world.archive)
        self._eyes.forget(node)
        self._minds.replaced(node)
        self._world.come_back(node, remembered=False)
        self._next[node] = tick + self._spell(node)
