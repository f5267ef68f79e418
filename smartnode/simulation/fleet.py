"""The nodes of a simulation: 40 % small boards, 45 % homes, 15 % universities, which give most of the room.

Quotas are drawn around 1 : 4 : 20 and scaled so that together they give the capacity that the scenario asks for.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.planning.ranks import fetch_ranks
from smartnode.simulation.archive import Archive
from smartnode.simulation.scenario import Scenario

_KINDS = ((0.40, 1.0, 50e6), (0.45, 4.0, 100e6), (0.15, 20.0, 1e9))  # share, relative quota, bit/s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """One entry per node. *quota*: bytes of segments. *rate*: bytes that arrive per cycle. *hidden*: behind NAT.

    *names* change when a node is replaced; *ranks* are theirs, g of each segment, shape (nodes, segments).
    """

    names: list[NodeId]
    quota: NDArray[np.int64]
    rate: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    ranks: NDArray[np.float32]

    @classmethod
    def draw(cls, scenario: Scenario, archive: Archive) -> Self:
        """Draw the fleet of *scenario*."""
        dice = np.random.default_rng([scenario.seed, 2])
        count = scenario.nodes
        kinds = dice.permutation(np.arange(count)) / count
        edges = np.cumsum([share for share, _, _ in _KINDS])
        kind = np.minimum(np.searchsorted(edges, kinds, side="right"), len(_KINDS) - 1)
        weight = np.array([each[1] for each in _KINDS])[kind] * dice.uniform(0.5, 1.5, count)
        quota = (weight / weight.sum() * scenario.capacity_ratio * archive.total).astype(np.int64)
        bits = np.array([each[2] for each in _KINDS])[kind]
        names = [node_id(NODE_ID_PREFIX + dice.bytes(12)) for _ in range(count)]
        fleet = cls(
            names=names,
            quota=quota,
            rate=(bits / 8 * scenario.cycle_s).astype(np.int64),
            hidden=dice.random(count) < scenario.nat,
            ranks=np.empty((count, len(archive.size)), dtype=np.float32),
        )
        for node in range(count):
            fleet.rename(node, names[node], archive)
        return fleet

    def rename(self, node: int, name: NodeId, archive: Archive) -> None:
        """Give *node* another id and the ranks that follow from it."""
        self.names[node] = name
        for dataset, info_hash in enumerate(archive.info_hashes):
            own = archive.segments_of(dataset)
            self.ranks[node, own] = _ranks(name, info_hash, own.stop - own.start)


def _ranks(name: NodeId, info_hash: InfoHash, count: int) -> NDArray[np.float64]:
    """Return g of a dataset's segments, past the cache, which a fleet would only flush."""
    return fetch_ranks.__wrapped__(name, info_hash, count)
