"""Small fleets from beginning to end: the same planning functions, the laws of the world, and rules that are worse."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from smartnode.planning.policy import Policy
from smartnode.simulation.run import Outcome, Simulation, simulate
from smartnode.simulation.scenario import GB, TB, Rule, Scenario

SMALL = Scenario(nodes=20, hours=40, archive=4 * TB, datasets=60, segment=8 * GB)


@pytest.fixture(scope="module")
def ours() -> Outcome:
    """What our rule makes of the small fleet."""
    return simulate(SMALL)


def test_near_the_optimum(ours: Outcome) -> None:
    """At C/S 2 every byte has a copy, nothing was destroyed, and the loss is near the least that is possible."""
    assert ours.score.loss_ratio < 1.1
    assert (ours.score.copies_min >= 1, ours.score.uncovered, ours.last_copies_destroyed) == (True, 0.0, 0)
    assert ours.traffic_overhead < 0.15
    hours = [moment.hour for moment in ours.history]
    assert hours == sorted(hours)
    assert hours[-1] == SMALL.hours


def test_same_seed_same_figures(ours: Outcome) -> None:
    """A scenario is all that a run depends on; another seed is another fleet."""
    assert simulate(SMALL) == ours
    assert simulate(replace(SMALL, seed=2)).score != ours.score


@pytest.mark.parametrize("rule", sorted(set(Rule) - {Rule.SMARTNODE, Rule.NO_GUARD}))
def test_others_lose_more(ours: Outcome, rule: Rule) -> None:
    """Every other rule loses more than ours in the same fleet."""
    assert simulate(replace(SMALL, rule=rule)).score.loss_ratio > ours.score.loss_ratio


def test_the_guard_saves_last_copies() -> None:
    """All quotas shrink at once: nothing is destroyed and the excess goes; without the guard last copies are lost."""
    shrink = replace(SMALL, capacity_ratio=3.0, hours=64, event_h=40, shrink_to=1.2)
    guarded, free = simulate(shrink), simulate(replace(shrink, rule=Rule.NO_GUARD))
    assert guarded.last_copies_destroyed == 0
    assert free.last_copies_destroyed > 0
    assert guarded.score.copies_min >= 1
    assert guarded.excess < 0.1 * 1.8 * SMALL.archive


def test_who_did_not_look_while_all_was_quiet_waits_for_the_next_epoch() -> None:
    """Nodes that were away in an epoch's quiet window let nothing go in it, however far they are over their quota."""
    run = Simulation(replace(SMALL, capacity_ratio=3.0, event_h=40, shrink_to=1.2), Policy())
    epoch, quiet = 40 * 4, 2  # the cycle that one begins in, and how many of its 8 cycles are quiet
    for tick in range(epoch):
        run.step(tick)
    for node in range(SMALL.nodes):
        run.world.leave(node)
    for tick in range(epoch, epoch + quiet):
        run.step(tick)
    for node in range(SMALL.nodes):
        run.world.come_back(node, remembered=True)
    held = run.world.held.sum()
    for tick in range(epoch + quiet, epoch + 8):
        run.step(tick)
    assert run.world.held.sum() >= held
    for tick in range(epoch + 8, epoch + 16):
        run.step(tick)
    assert run.world.held.sum() < held


@pytest.mark.parametrize(
    "wrong",
    [
        {"uptime": 0.8, "deaths_per_day": 0.2},
        {"nat": 0.3, "visibility": 0.8, "stale": 4},
        {"liars": 2, "mass_death": 0.3, "event_h": 20.0, "mirror_death": True},
        {"arrive_h": 20.0, "visible_flight": True},
    ],
    ids="+".join,
)
def test_the_world_keeps_its_laws(wrong: dict[str, float]) -> None:
    """Whatever goes wrong: counts are those of the matrices, quotas hold, and no eviction destroys a last copy."""
    run = Simulation(replace(SMALL, hours=30, **wrong), Policy())
    world = run.world
    for tick in range(run.scenario.ticks):
        run.step(tick)
        assert (world.alive == world.held.sum(axis=0)).all()
        assert (world.live == world.held[world.online].sum(axis=0)).all()
        assert (world.ghosts >= 0).all()
        assert (world.coming == world.flying[world.online].sum(axis=0)).all()
        assert not (world.held & world.flying).any()
        assert (world.used == (world.held | world.flying) @ world.archive.size).all()
        assert (world.used <= world.quota).all()
    assert world.destroyed == 0
    assert [set(np.flatnonzero(column)) for column in world.held.T] == world.holders
    assert (world.joined == np.add.reduceat(world.held | world.flying, world.archive.first[:-1], axis=1)).all()


@pytest.mark.parametrize(
    "wrong", [{"nodes": 0}, {"nat": 1.1}, {"uptime": 0.0}, {"stale": -1}, {"hours": 0}, {"event_h": -1.0}]
)
def test_scenarios_are_checked(wrong: dict[str, float]) -> None:
    """A number out of range is refused."""
    with pytest.raises(ValueError, match="not Scenario"):
        replace(SMALL, **wrong)


def test_who_is_away_is_counted_while_remembered() -> None:
    """Nodes that died or left count as away until they are forgotten; who comes back does not."""
    died = replace(SMALL, mass_death=0.25, event_h=2, hours=5)
    run = Simulation(died, Policy(t_mem=timedelta(hours=1)))
    away = []
    for tick in range(died.ticks):
        run.step(tick)
        away.append(run.world.away)
    at = died.tick_of(2)
    assert (away[at - 1], away[at], away[at + 3], away[at + 4]) == (0.0, 0.25, 0.25, 0.0)
    run.world.leave(int(np.flatnonzero(run.world.online)[0]))
    assert run.world.away == pytest.approx(1 / 15)
    run.world.come_back(int(np.flatnonzero(run.world.absent)[0]), remembered=True)
    assert run.world.away == 0.0
