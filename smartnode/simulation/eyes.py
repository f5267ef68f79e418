"""What a node sees: the swarms it is in at every look, a few others each cycle, all of it as old as its last look.

A node sees the copies of nodes that it can dial, or that dial it: two nodes behind NAT never see each other, and one
that is in a swarm sees those behind NAT that are in it too, while from outside it sees only who can be dialled. With
bulletins everybody sees everything.
"""

import numpy as np
from numpy.typing import NDArray

from smartnode.planning.policy import Policy
from smartnode.simulation.scenario import Scenario
from smartnode.simulation.world import Mask, World

PROBES_MIN = 10
ITEMS_PER_PROBE = 1000
_NEVER = -(1 << 20)


class Eyes:
    """Views of all nodes, shape (nodes, segments), and the cycle of each node's last look at each dataset."""

    def __init__(self, scenario: Scenario, world: World, policy: Policy) -> None:
        """See *world* as *scenario* allows."""
        nodes, segments = world.held.shape
        self._world = world
        self._scenario = scenario
        self._policy = policy
        self._valid = round(policy.a_max.total_seconds() / scenario.cycle_s)
        self.copies = np.zeros((nodes, segments), dtype=np.int16)
        self.coming = np.zeros((nodes, segments), dtype=np.int16)
        self.looked = np.full((nodes, len(world.archive.info_hashes)), _NEVER, dtype=np.int32)
        self._probes = max(PROBES_MIN, len(world.archive.info_hashes) // ITEMS_PER_PROBE)
        self._pretenders = scenario.liars + scenario.sybils
        self._matrix = np.zeros((0, 0), dtype=np.float32)
        dice = np.random.default_rng([scenario.seed, 3])
        partial = scenario.visibility < 1 or (scenario.nat > 0 and not scenario.bulletins)
        self._sees: Mask | None = self._pairs(dice) if partial else None
        self._turn = dice.random((nodes, len(world.archive.info_hashes)), dtype=np.float32)
        """Each node looks at what it never saw in an order of its own."""
        self._seen: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []

    def _pairs(self, dice: np.random.Generator) -> Mask:
        """Who can ever see whom, shape (nodes, nodes)."""
        hidden = self._world.fleet.hidden
        sees: Mask = dice.random((len(hidden), len(hidden))) < self._scenario.visibility
        if not self._scenario.bulletins:
            sees &= ~(hidden[:, None] & hidden[None, :])
        return sees

    def can_see(self, node: int, other: int) -> bool:
        """*node* sees *other* in a swarm that both are in."""
        return self._sees is None or bool(self._sees[node, other])

    def open(self, tick: int) -> None:
        """Take the picture that all looks of this cycle see, *stale* cycles old."""
        world = self._world
        patience = self._policy.patience(world.away).total_seconds() / self._scenario.cycle_s
        remembered = (world.live > 0) | (tick - world.last_online <= max(1, round(patience)))
        copies = np.where(remembered, world.live + world.ghosts, 0) + self._pretenders
        self._seen.append((copies, world.coming.copy()))
        del self._seen[: -1 - self._scenario.stale]
        if self._sees is not None:
            self._matrix = world.held.astype(np.float32)

    def look(self, node: int, tick: int, datasets: Mask) -> None:
        """Let *node* look at *datasets*, a boolean each."""
        world, (copies, flying) = self._world, self._seen[0]
        fresh = datasets[world.archive.owner]
        if self._sees is not None:
            copies = np.minimum(copies, self._visible(node) + self._pretenders)
        np.copyto(self.copies[node], np.maximum(copies - world.held[node], 0), where=fresh, casting="unsafe")
        if self._scenario.visible_flight:
            flying = world.coming
        others = np.maximum(flying - world.flying[node], 0)
        most = others if self._scenario.visible_flight else np.minimum(others, 1)
        np.copyto(self.coming[node], most, where=fresh, casting="unsafe")
        self.looked[node, datasets] = tick

    def _visible(self, node: int) -> NDArray[np.int32]:
        """Copies at nodes online that *node* can see, from inside a swarm or from outside."""
        world = self._world
        assert self._sees is not None
        visible = self._sees[node] & world.online
        inner = visible.astype(np.float32) @ self._matrix
        if self._scenario.bulletins:
            return np.asarray(inner, dtype=np.int32)
        outer = (visible & ~world.fleet.hidden).astype(np.float32) @ self._matrix
        inside = world.joined[node] > 0
        return np.asarray(np.where(inside[world.archive.owner], inner, outer), dtype=np.int32)

    def glance(self, node: int, tick: int) -> None:
        """Let *node* look as every cycle does: at the swarms it is in, and at those that it saw longest ago."""
        datasets: Mask = self._world.joined[node] > 0
        age = np.where(datasets, tick, self.looked[node]) + self._turn[node]
        if self._probes < len(age):
            datasets = datasets.copy()
            datasets[np.argpartition(age, self._probes)[: self._probes]] = True
        else:
            datasets = np.ones(len(age), dtype=np.bool_)
        self.look(node, tick, datasets)

    def known(self, node: int, tick: int) -> Mask:
        """Return the segments whose last look is within A_max."""
        fresh: Mask = tick - self.looked[node] <= self._valid
        return fresh[self._world.archive.owner]

    def forget(self, node: int) -> None:
        """A new node has seen nothing."""
        self.copies[node] = 0
        self.coming[node] = 0
        self.looked[node] = _NEVER
