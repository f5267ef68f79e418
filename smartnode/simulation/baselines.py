"""What others do, in the light that is best for them: nodes arrive one after the other, see the truth, and download in
no time; nothing ever fails and nothing is swapped.
"""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smartnode.simulation.scenario import Rule, Scenario
from smartnode.simulation.world import World

KEEPERS: Final = 5
"""A dataset with fewer whole copies than this asks for keepers."""

_Order = Callable[[NDArray[np.int64], np.random.Generator], NDArray[np.int64]]
"""Whole copies of each dataset and dice, to the datasets in the order in which a node tries them."""


def _first_fit(copies: NDArray[np.int64], _: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(len(copies))


def _random(copies: NDArray[np.int64], dice: np.random.Generator) -> NDArray[np.int64]:
    return dice.permutation(len(copies))


def _rarest(copies: NDArray[np.int64], dice: np.random.Generator) -> NDArray[np.int64]:
    return np.lexsort((dice.random(len(copies)), copies))


def _keepers(copies: NDArray[np.int64], dice: np.random.Generator) -> NDArray[np.int64]:
    return np.lexsort((dice.random(len(copies)), copies >= KEEPERS))


_WHOLE: Final[dict[Rule, _Order]] = {
    Rule.FIRST_FIT: _first_fit,
    Rule.RANDOM: _random,
    Rule.RAREST_DATASET: _rarest,
    Rule.KEEPERS: _keepers,
}


def fill(scenario: Scenario, world: World) -> None:
    """Fill the nodes of *world* as the rule of *scenario* does."""
    dice = np.random.default_rng([scenario.seed, 4])
    for node in dice.permutation(scenario.nodes).tolist():
        if scenario.rule is Rule.RANK_ONLY:
            order: Iterable[int] = np.argsort(-world.fleet.ranks[node], kind="stable").tolist()
            parts = (np.array([segment]) for segment in order)
        else:
            first = world.archive.first
            whole = np.minimum.reduceat(world.alive, first[:-1]).astype(np.int64)
            order = _WHOLE[scenario.rule](whole, dice).tolist()
            parts = (np.arange(first[each], first[each + 1]) for each in order)
        _take(world, node, parts)


def _take(world: World, node: int, parts: Iterable[NDArray[np.int64]]) -> None:
    """Give *node* each part that still fits."""
    size = world.archive.size
    free, taken = int(world.quota[node]), []
    least = int(size.min())
    for part in parts:
        if free < least:
            break
        weight = int(size[part].sum())
        if weight <= free:
            taken.append(part)
            free -= weight
    if taken:
        world.give(node, np.concatenate(taken))
