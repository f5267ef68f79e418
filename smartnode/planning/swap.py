"""The swap evens the copies out: a full node gives segments that have too many for segments that have too few.

- Only when the node is full: while anything can be fetched, fetching evens out by itself.
- What all nodes together still have to move is mv = max(D, E): D bytes are missing below F copies, E lie above F + 1.
  While the swarm grows by more than mv / 4 since the last cycle the growth will mend it, so nothing is swapped.
- One node's share is x = gamma * mv * q / C^ bytes: together the nodes move gamma of it, whoever they are and however
  many. A node that lately saw a part of the archive takes that part for the whole. A share that is no whole segment is
  rounded by a number of the node and the period, never by chance.
- A segment may go while it is covered, without this copy, at least `hysteresis` more than the one that would come. What
  comes is counted by what really goes: a segment that the guard keeps leaves its partner to the next one, otherwise
  the rarest would wait for those few holders that happen to head the list and are refused. What has the volunteer's
  target of copies does not come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.pieces import Bytes
from smartnode.planning import water
from smartnode.planning.field import Field
from smartnode.planning.policy import Policy

GROWTH_LIMIT: Final = 0.25
"""Part of mv that the swarm may grow by in a cycle before swaps wait."""

MANY: Final = 5_000
"""C^ / q above which a node swaps more slowly: with so many others acting at once the usual rate overshoots."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """*leaving*: indices of held segments that may go, the most covered first; *before*: for each, the bytes that may
    go before it; what would come after those is not rare enough for it. *share*: bytes that should go. *moving*: mv,
    bytes. *urgent*: bytes that nobody holds and a live mirror still has.
    """

    leaving: NDArray[np.int64]
    before: NDArray[np.int64]
    share: float
    moving: float
    urgent: int


_NONE: Final = np.zeros(0, dtype=np.int64)
NOTHING: Final = Exchange(leaving=_NONE, before=_NONE, share=0.0, moving=0.0, urgent=0)


def exchange(field: Field, *, gate: int, quota: Bytes, growth: Bytes, policy: Policy) -> Exchange:
    """Say what a full node of *quota* bytes gives up; *gate*: F + 1; *growth*: of C^ since the last cycle."""
    seen = field.offered & field.known
    u, weight = field.coverage[seen], field.size[seen].astype(np.float64)
    missing = float((weight * np.maximum(gate - 1 - u, 0.0)).sum())
    spare = float((weight * np.maximum(u - gate, 0.0)).sum())
    whole = float(field.size[field.offered].sum()) / max(1.0, float(weight.sum()))
    moving, capacity = max(missing, spare) * whole, field.capacity
    if moving <= 0 or capacity <= 0 or growth > GROWTH_LIMIT * moving:
        return NOTHING
    gamma = policy.gamma_many if capacity > MANY * quota else policy.gamma
    share = gamma * moving * quota / capacity
    leaving, before = _leaving(field, seen, gate, policy)
    mirrored = field.base > field.coverage  # only what has no copy lacks its mirror credit
    urgent = int(field.cost[seen & mirrored & (field.seen == 0)].sum())
    return Exchange(leaving=leaving, before=before, share=share, moving=moving, urgent=urgent)


def take(
    swap: Exchange, sizes: NDArray[np.int64], *, draw: float, permitted: Callable[[int, bool], bool]
) -> NDArray[np.int64]:
    """Return what goes now: the first of *leaving* that are *permitted*, up to the share; *draw* in (0, 1) decides
    about the segment that the share cuts. *permitted* is told whether what comes has no copy at all.
    """
    taken: list[int] = []
    left, gone = swap.share, 0
    for index, before in zip(swap.leaving.tolist(), swap.before.tolist(), strict=True):
        if left <= 0 or gone >= before:
            break  # those after it are covered no better
        size = int(sizes[index])
        if not permitted(index, gone < swap.urgent):
            continue
        if size > left and draw >= left / size:
            break
        taken.append(index)
        left -= size
        gone += size
    return np.array(taken, dtype=np.int64)


def _leaving(
    field: Field, seen: NDArray[np.bool_], gate: int, policy: Policy
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Held segments that are worth giving for something, the most covered first, and the bytes that may go before."""
    held = np.flatnonzero(seen & (field.cost == 0) & (field.held > 0) & ~field.pinned)
    lacking = seen & (field.cost > 0) & ~field.sated(policy.target_copies)
    missing = np.flatnonzero(lacking & (field.coverage < gate - water.SLACK))
    if not len(held) or not len(missing):
        return _NONE, _NONE
    going = held[np.lexsort((field.g[held], -field.coverage[held]))]
    coming = missing[np.argsort(field.coverage[missing], kind="stable")]
    ends = np.concatenate(([0], np.cumsum(field.cost[coming])))
    rare_enough = field.coverage[going] - 1 - policy.hysteresis + water.SLACK
    before = ends[np.searchsorted(field.coverage[coming], rare_enough, side="right")]
    return going[before > 0], before[before > 0]
