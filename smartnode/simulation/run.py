"""One simulation from beginning to end: events, arrivals of data, looks, decisions, in that order, once per cycle.

All nodes decide at the same moment on the same picture, the worst case for rules that herd. The dice of a run come from
its seed alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smartnode.planning.policy import Policy
from smartnode.simulation import baselines
from smartnode.simulation.archive import Archive
from smartnode.simulation.events import Events
from smartnode.simulation.eyes import Eyes
from smartnode.simulation.fleet import Fleet
from smartnode.simulation.greedy import Greedy
from smartnode.simulation.minds import Minds
from smartnode.simulation.scenario import Rule, Scenario
from smartnode.simulation.score import Score, score
from smartnode.simulation.world import World

OURS = frozenset({Rule.SMARTNODE, Rule.NO_GUARD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The state at one hour; *downloaded*: bytes since the beginning."""

    hour: float
    score: Score
    downloaded: int
    destroyed: int
    excess: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a scenario. *archive*: bytes. *traffic_overhead*: bytes downloaded over those that had to be,
    less one; *excess*: bytes still held above the quotas. *history*: one entry per cycle.
    """

    scenario: Scenario
    archive: int
    score: Score
    last_copies_destroyed: int
    traffic_overhead: float
    excess: int
    history: tuple[Moment, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the documented keys of ``smartnode simulate --json``."""
        return {
            "nodes": self.scenario.nodes,
            "capacity_ratio": self.scenario.capacity_ratio,
            "hours": self.scenario.hours,
            "seed": self.scenario.seed,
            "rule": self.scenario.rule.value,
            "loss_ratio": self.score.loss_ratio,
            "copies_min": self.score.copies_min,
            "copies_p1": self.score.copies_p1,
            "copies_mean": self.score.copies_mean,
            "uncovered_fraction": self.score.uncovered,
            "last_copies_destroyed": self.last_copies_destroyed,
            "traffic_overhead": self.traffic_overhead,
        }


class Simulation:
    """The parts of one run, built from its scenario."""

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        """Build archive, fleet and nodes."""
        archive = Archive.draw(scenario)
        self.scenario = scenario
        self.world = World(archive, Fleet.draw(scenario, archive))
        self.eyes = Eyes(scenario, self.world, policy)
        self.minds = Minds(scenario, self.world, self.eyes, policy)
        self.greedy = Greedy(self.world, self.eyes, policy) if scenario.rule is Rule.GREEDY else None
        self.events = Events(scenario, self.world, eyes=self.eyes, minds=self.minds, policy=policy)

    def step(self, tick: int) -> None:
        """Run cycle *tick*."""
        world = self.world
        self.events.happen(tick)
        world.arrive(tick)
        world.witness(tick)
        self.minds.begin(tick)
        self.eyes.open(tick)
        decide = self.minds.decide if self.greedy is None else self.greedy.decide
        begun: dict[int, NDArray[np.int64]] = {}
        leaving: dict[int, NDArray[np.int64]] = {}
        for node in np.flatnonzero(world.online & (world.quota > 0)).tolist():
            fetch, evict = decide(node, tick)
            if len(fetch) and self.scenario.visible_flight:
                world.start(node, fetch)
            elif len(fetch):
                begun[node] = fetch
            if len(evict):
                leaving[node] = evict
        for node, fetch in begun.items():
            world.start(node, fetch)
        world.evict(leaving)
        self.minds.evicted(leaving)

    def moment(self, tick: int) -> Moment:
        """Return the state after cycle *tick*."""
        world = self.world
        return Moment(
            hour=(tick + 1) * self.scenario.cycle_s / 3600,
            score=score(world.alive.astype(np.int64), world.archive.size, float(world.quota.sum())),
            downloaded=world.downloaded,
            destroyed=world.destroyed,
            excess=int(np.maximum(world.used - world.quota, 0).sum()),
        )


def simulate(
    scenario: Scenario, policy: Policy | None = None, *, progress: Callable[[float], None] = lambda _: None
) -> Outcome:
    """Run *scenario*; *progress* is told the share that is done, in [0, 1]."""
    run = Simulation(scenario, policy or Policy())
    history: list[Moment] = []
    if scenario.rule in OURS or scenario.rule is Rule.GREEDY:
        for tick in range(scenario.ticks):
            run.step(tick)
            history.append(run.moment(tick))
            progress((tick + 1) / scenario.ticks)
    else:
        baselines.fill(scenario, run.world)
        history.append(run.moment(scenario.ticks - 1))
        progress(1.0)
    world, last = run.world, history[-1]
    needed = int((world.archive.size * world.alive).sum()) + world.excused
    return Outcome(
        scenario=scenario,
        archive=world.archive.total,
        score=last.score,
        last_copies_destroyed=world.destroyed,
        traffic_overhead=world.downloaded / needed - 1 if needed else 0.0,
        excess=last.excess,
        history=tuple(history),
    )
