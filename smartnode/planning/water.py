"""The water level: the coverage, in copies, that a given capacity reaches when the lowest are always filled first.

The expected loss is convex in the number of copies, so the best use of a capacity C over an archive is one level l for
all: sum of b * max(l - base, 0) = C. How the traps of that equation are decided here:

- **An archive without any copy.** Value, target and mirror terms move the bases apart, so at C = 0 the level is the
  lowest base and segments of ordinary value lie above floor(level) + 1. A segment without any copy is therefore always
  a candidate, whatever the level (`fetch.py`).
- **Mirrors.** A segment gets its mirror credit with its first copy. The base includes the credit; otherwise every
  segment with one copy and a live mirror would stand above the level, and nobody would make the second copy.
- **Own room.** The gate F = floor(l) uses the capacity that is there plus what this node can still add: its free room,
  bounded by what it does not hold. Fetching moves bytes from one term to the other, so that the gate stays where it is
  while the node fills, and a node with room for everything takes everything that is equally covered.
- **Whole numbers.** With equal bases C / S is a ratio of integers, and a rounding error below 5 must not become 4:
  levels are compared with a slack of 1e-9 copies.
"""

import math

import numpy as np
from numpy.typing import NDArray

SLACK = 1e-9
"""Copies; far above the rounding error of a level, far below any difference that matters."""


def level(base: NDArray[np.float64], weight: NDArray[np.int64], capacity: float) -> float | None:
    """Solve sum of weight * max(l - base, 0) = *capacity* for l; the lowest base when nothing is to be poured.

    None for an empty archive. *weight* is above 0 everywhere and *capacity* is not negative.
    """
    if not len(base):
        return None
    lowest = float(base.min())
    above, heavy = base - lowest, weight.astype(np.float64)
    height = (capacity + float((heavy * above).sum())) / float(heavy.sum())
    # Newton on a convex, piecewise linear function, from above: it falls to the root in finitely many steps, usually
    # fewer than ten, and what is dry once stays dry, so that nothing needs sorting. (No @ here: the
    # algebra library would spread it over all cores of the host, and spin there.)
    for _ in range(len(base)):
        wet = above < height
        if wet.all():
            break
        above, heavy = above[wet], heavy[wet]
        if not len(above):
            return lowest
        height = (capacity + float((heavy * above).sum())) / float(heavy.sum())
    return lowest + height


def full_copies(height: float | None) -> int:
    """F: whole copies below a level, 0 when there is none."""
    return 0 if height is None else math.floor(height + SLACK)
