"""Many away or few: a failure of many is told from the sleep of some, by nodes that were met and are met no more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield
from smartnode.domain.wishes import NO_WISHES
from smartnode.planning.absence import away
from smartnode.planning.policy import Policy
from smartnode.planning.roster import enrol
from smartnode.planning.survey import survey

FULL = Bitfield.full(64)
HOUR = timedelta(hours=1)
POLICY = Policy()


def met(world: Any, number: int, hours: float, **changed: Any) -> Any:
    """Return smartnode *number*, met so long ago."""
    return world.holder(number, FULL, smartnode=True, last_contact=world.now - hours * HOUR, **changed)


def share(world: Any, *views: Any) -> float:
    """Return the part that is away."""
    return away(views, node=world.node, policy=POLICY, now=world.now)


def test_nodes_are_counted(world: Any) -> None:
    """One of four smartnodes is away; foreign clients, this node and those forgotten do not count."""
    here = [met(world, n, 2) for n in range(3)]
    others = [world.holder(9, FULL), met(world, 8, 73), met(world, 7, 3, peer_id=world.node)]
    assert share(world, world.view(1, *here, met(world, 3, 2.1), *others)) == 0.25
    assert share(world) == share(world, world.view(1, *others)) == 0.0
    assert share(world, world.view(1, met(world, 1, 9), age=None)) == 0.0


def test_a_node_that_was_met_anywhere_is_there(world: Any) -> None:
    """It left one swarm and is in another; and where nobody looked since, nobody is known to have left."""
    gone, here = met(world, 1, 5), met(world, 1, 0)
    assert share(world, world.view(1, gone)) == 1.0
    assert share(world, world.view(1, gone), world.view(2, here)) == 0.0
    assert share(world, world.view(1, gone, age=4 * HOUR)) == 0.0


def test_where_it_was_met_last_counts(world: Any) -> None:
    """The newest contact counts, whichever view is read last."""
    gone, here = world.view(1, met(world, 1, 5)), world.view(2, met(world, 1, 0))
    assert share(world, gone, here) == share(world, here, gone) == 0.0


def test_patience_is_never_shorter_than_urgency() -> None:
    """A shorter t_usual than t_urg does not make the usual more urgent than a failure."""
    hasty = Policy(t_urg=3 * HOUR, t_usual=HOUR)
    assert hasty.patience(0.0) == hasty.patience(1.0) == 3 * HOUR
    assert (POLICY.patience(0.25), POLICY.patience(0.26)) == (12 * HOUR, 2 * HOUR)


@given(st.lists(st.floats(0, 71), max_size=8), st.randoms())
def test_the_order_does_not_matter(world: Any, ages: list[float], dice: Any) -> None:
    """Views and holders may come in any order."""
    holders = [met(world, n, age) for n, age in enumerate(ages)]
    views = [world.view(n, *holders[n % 3 :]) for n in range(3)]
    shuffled = [replace(view, holders=tuple(dice.sample(view.holders, len(view.holders)))) for view in views]
    assert share(world, *views) == share(world, *dice.sample(shuffled, 3))


@pytest.mark.parametrize(("others", "hours", "copies"), [(3, 3, 1), (3, 12, 1), (3, 12.1, 0), (2, 3, 0)])
def test_who_sleeps_is_waited_for(world: Any, others: int, hours: float, copies: int) -> None:
    """A segment whose holder is away is waited for up to t_usual; at once when more than a quarter are away."""
    here = [world.holder(n, Bitfield.empty(64), smartnode=True) for n in range(others)]
    view = world.view(1, met(world, 9, hours), *here)
    roster, _ = enrol([world.candidate(1, size=320, piece=5)], {}, wishes=NO_WISHES, now=world.now)
    field = survey(roster, {view.info_hash: view}, policy=POLICY, node=world.node, now=world.now)
    assert field.copies.tolist() == [copies] * 32
