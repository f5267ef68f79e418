"""What a distribution of copies is worth: its expected loss over that of the clairvoyant optimum.

Each copy is lost within 30 days with probability 0.3, independently. That is convex in the number of copies, so the
least loss that a capacity C can reach over an archive of S bytes is water-filling: every byte at C / S copies, a part
of them one below and the rest one above.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAILURE = 0.3
"""Probability that one copy is lost within 30 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """*loss_ratio*: loss over the optimum's, 1 is perfect. *copies_p1*: first percentile by bytes. *uncovered*:
    share of bytes without a volunteer's copy.
    """

    loss_ratio: float
    copies_min: int
    copies_p1: int
    copies_mean: float
    uncovered: float


def optimal_loss(capacity: float, total: float) -> float:
    """Bytes that are lost at the best use of *capacity* bytes over *total* bytes."""
    level = capacity / total
    full = math.floor(level)
    part = level - full
    return total * ((1 - part) * FAILURE**full + part * FAILURE ** (full + 1))


def score(copies: NDArray[np.int64], size: NDArray[np.int64], capacity: float) -> Score:
    """Rate *copies* of segments of *size* bytes against the optimum for *capacity* bytes."""
    weight = size.astype(np.float64)
    loss = float(weight @ np.power(FAILURE, copies.astype(np.float64)))
    order = np.argsort(copies, kind="stable")
    reached = np.searchsorted(np.cumsum(weight[order]), 0.01 * weight.sum())
    return Score(
        loss_ratio=loss / optimal_loss(capacity, float(weight.sum())),
        copies_min=int(copies.min()),
        copies_p1=int(copies[order[min(int(reached), len(order) - 1)]]),
        copies_mean=float(weight @ copies) / float(weight.sum()),
        uncovered=float(weight[copies == 0].sum()) / float(weight.sum()),
    )
