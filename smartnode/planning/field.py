"""A field is every segment of the archive as one node sees it: numbers only, one array entry per segment.

The decisions (fetch, swap, what leaves first) read nothing else, so a fleet of simulated nodes runs the very functions
that a real node runs. The laws of the coverage u are those of the placement rule:
u = copies + own + [copies + own >= 1] * credit - ln(v) / lambda + (mean target - its target).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.pieces import Bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """All segments, in one fixed order.

    *size*: bytes. *cost*: bytes neither held nor promised. *held*: bytes held. *offered*: may be fetched.
    *pinned*, *excluded*: by the volunteer.
    *copies*: remembered elsewhere; *coming*: 1 while in progress elsewhere. *base*: u of the first copy less one.
    *capacity*: C^, bytes of all copies, one's own included, as what was seen lately lets expect.
    *seen*: copies elsewhere as fetching believes them, also of old views; *coverage*: u with them. *g*: fetch rank.
    """

    size: NDArray[np.int64]
    cost: NDArray[np.int64]
    held: NDArray[np.int64]
    copies: NDArray[np.int64]
    coming: NDArray[np.int64]
    known: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    base: NDArray[np.float64]
    seen: NDArray[np.int64]
    coverage: NDArray[np.float64]
    g: NDArray[np.float64]
    capacity: Bytes

    def sated(self, target: int | None) -> NDArray[np.bool_]:
        """Which segments have *target* copies elsewhere (None: no target), one on its way included; never what is
        pinned.
        """
        return np.zeros(len(self.seen), dtype=np.bool_) if target is None else (self.seen >= target) & ~self.pinned

    def worth_less(self, among: NDArray[np.int64]) -> NDArray[np.int64]:
        """The segments *among* (indices, ascending), the least valuable to hold first.

        What is excluded before all else, what is pinned after it. Known to be well covered before unknown, unfinished
        before whole, then the lowest rank. What is in progress elsewhere is no copy yet, so it does not count here.
        """
        keys = (self.g, self.cost == 0, -(self.base + self.copies), ~self.known, ~self.excluded, self.pinned)
        return among[np.lexsort([key[among] for key in keys])]


def lay_out(
    *,
    size: NDArray[np.int64],
    cost: NDArray[np.int64],
    held: NDArray[np.int64],
    copies: NDArray[np.int64],
    coming: NDArray[np.int64],
    known: NDArray[np.bool_],
    offered: NDArray[np.bool_],
    pinned: NDArray[np.bool_],
    excluded: NDArray[np.bool_],
    merit: NDArray[np.float64],
    credit: NDArray[np.float64],
    g: NDArray[np.float64],
) -> Field:
    """Return the field with its coverage; *merit*: what value and target add to u, *credit*: what mirrors add to it."""
    seen = copies + coming
    count = seen + (cost == 0)
    base = credit + merit
    return Field(
        size=size,
        cost=cost,
        held=held,
        copies=copies,
        coming=coming,
        known=known,
        offered=offered,
        pinned=pinned,
        excluded=excluded,
        base=base,
        seen=seen,
        coverage=base + count - np.where(count == 0, credit, 0.0),  # no mirror credit before the first copy
        g=g,
        capacity=Bytes(int(((size - cost) * offered).sum()) + _elsewhere(size, seen, offered, known)),
    )


def _elsewhere(
    size: NDArray[np.int64], seen: NDArray[np.int64], offered: NDArray[np.bool_], known: NDArray[np.bool_]
) -> int:
    """Estimate the bytes of all copies that others hold: what was seen lately stands for the rest, because an old view
    of an archive that fills knows too few. Where nothing was seen lately, what is remembered.
    """
    fresh = offered & known
    all_of_it, there = int(size[offered].sum()), size * seen
    seen_lately = int(size[fresh].sum())
    return int(there[fresh].sum()) * all_of_it // seen_lately if seen_lately else int(there[offered].sum())
