"""The archive of a simulation: many small datasets and a few giants, cut into segments of one size.

Sizes are drawn log-normally and cut off at a tenth of the whole, like the catalogue that the rule was found for: 50 TB
in 1,220 datasets of up to 5 TB.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import InfoHash
from smartnode.simulation.scenario import Scenario

_SPREAD = 2.0  # sigma of ln(size)
_LARGEST = 0.1  # of the archive


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Archive:
    """*size*: bytes of each segment, dataset after dataset. *owner*: dataset of each segment. *first*: index of each
    dataset's first segment, and one past the last. *info_hashes*: one per dataset.
    """

    size: NDArray[np.int64]
    owner: NDArray[np.int64]
    first: NDArray[np.int64]
    info_hashes: tuple[InfoHash, ...]

    @classmethod
    def draw(cls, scenario: Scenario) -> Self:
        """Draw the archive of *scenario*."""
        dice = np.random.default_rng([scenario.seed, 1])
        sizes = np.exp(dice.normal(0.0, _SPREAD, scenario.datasets))
        for _ in range(3):
            sizes = np.minimum(sizes / sizes.sum(), max(_LARGEST, 1 / scenario.datasets))
        whole = np.maximum((sizes / sizes.sum() * scenario.archive).astype(np.int64), 1)
        counts = -(-whole // scenario.segment)
        size = np.full(int(counts.sum()), scenario.segment, dtype=np.int64)
        first = np.concatenate(([0], np.cumsum(counts)))
        size[first[1:] - 1] = whole - (counts - 1) * scenario.segment
        return cls(
            size=size,
            owner=np.repeat(np.arange(scenario.datasets), counts),
            first=first,
            info_hashes=tuple(InfoHash(f"{scenario.seed:08x}{number:032x}") for number in range(scenario.datasets)),
        )

    @property
    def total(self) -> int:
        """Bytes of the whole archive."""
        return int(self.size.sum())

    def segments_of(self, dataset: int) -> slice:
        """Return where the segments of *dataset* lie."""
        return slice(int(self.first[dataset]), int(self.first[dataset + 1]))

    def name(self, segment: int) -> tuple[InfoHash, int]:
        """Return a segment's info-hash and its number within it."""
        dataset = int(self.owner[segment])
        return self.info_hashes[dataset], segment - int(self.first[dataset])
