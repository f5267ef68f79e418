"""The naive rule: every node fetches the segments with the fewest copies, in the same order as all others, and swaps at
once whatever has two copies more than something else; nothing is proved.
"""

import numpy as np
from numpy.typing import NDArray

from smartnode.planning.difference import paced
from smartnode.planning.policy import Policy
from smartnode.simulation.eyes import Eyes
from smartnode.simulation.world import World

NOTHING = np.zeros(0, dtype=np.int64)


class Greedy:
    """Decides for all nodes in the same place of the run as ours does."""

    def __init__(self, world: World, eyes: Eyes, policy: Policy) -> None:
        """Decide in *world*, by what *eyes* see."""
        self._world = world
        self._eyes = eyes
        self._policy = policy

    def decide(self, node: int, tick: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the segments that *node* begins to fetch, and those that it lets go."""
        world, size = self._world, self._world.archive.size
        self._eyes.look(node, tick, np.ones(len(world.archive.info_hashes), dtype=np.bool_))
        copies = self._eyes.copies[node].astype(np.int64)
        missing = np.flatnonzero(~world.held[node] & ~world.flying[node])
        wanted = missing[np.argsort(copies[missing], kind="stable")]
        free = int(world.quota[node] - world.used[node])
        pace = int(self._policy.pace * world.quota[node])
        chosen = wanted[paced(size[wanted].tolist(), left=free, pace=pace)] if free > 0 else NOTHING
        if len(chosen) or not len(wanted):
            return chosen, NOTHING
        held = np.flatnonzero(world.held[node])
        order = held[np.argsort(-copies[held], kind="stable")]
        excess = -free
        going = order[: min(len(order), len(wanted))]
        worth = copies[going] > copies[wanted[: len(going)]] + 1
        over = np.cumsum(size[order]) - size[order] < excess if excess > 0 else np.zeros(len(order), dtype=np.bool_)
        leaving = over.copy()
        leaving[: len(going)] |= worth & (np.cumsum(size[going]) <= pace)
        return NOTHING, order[leaving]
