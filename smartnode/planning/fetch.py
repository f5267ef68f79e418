"""The fetch order: what is pinned, then what is known to be at risk, then what was never seen, then what room is left
for.

A candidate is neither held nor promised, fits into the free room, and is covered less than F + 1 or not at all.
Within a class the largest ln(l_f - u) + g comes first: rarer segments are likelier, and each node draws its own. The
fetch level l_f solves sum of b * max(l_f - u, 0) = max(0.3 * growth of C^, own budget) over the candidates. Segments
with u + 1 <= l_f come before their class: all of them together fit the budget, so that more quota never costs the
rarest a copy that less quota gave them. Whatever does not fit is skipped and the next is tried.

What the volunteer pinned is taken before all that, however well it is covered, the least covered first; the rule then
fills the room that is left as if there were no more.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Rule
from smartnode.planning import water
from smartnode.planning.segments import total
from smartnode.planning.survey import Survey

GROWTH_SHARE: Final = 0.3
"""Part of the swarm's growth that l_f looks ahead: others fill at the same time."""

_CLASS_RULES = (Rule.AT_RISK, Rule.AT_RISK, Rule.NEVER_SEEN, Rule.NEVER_SEEN, Rule.SPARE_ROOM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Indices into the survey. *chosen*, with *rules*, in order; *crowded*: wanted, no room; *covered*: enough copies.

    *level*: l over the archive; *gate*: F + 1; *fetch_level*: l_f, None without candidates.
    """

    chosen: NDArray[np.int64]
    rules: tuple[Rule, ...]
    crowded: NDArray[np.int64]
    covered: NDArray[np.int64]
    level: float | None
    gate: int
    fetch_level: float | None


def choose(field: Survey, *, free: Bytes, growth: Bytes) -> Choice:
    """Fill *free* bytes."""
    missing = np.flatnonzero(field.offered & (field.cost > 0))
    gate = gate_of(field, free)
    pinned = _pinned(field, missing)
    first = pinned[_fill(field.cost[pinned].tolist(), free)]
    missing, free = missing[~field.pinned[missing]], Bytes(free - total(field.cost[first]))
    u, cost = field.coverage[missing], field.cost[missing]
    wanted = (u < gate - water.SLACK) | (field.seen[missing] == 0)
    candidate = wanted & (cost <= free)
    fetch_level = water.level(u[candidate], cost[candidate], max(GROWTH_SHARE * growth, free))
    order, classes = _order(field, missing[candidate], fetch_level)
    taken = _fill(field.cost[order].tolist(), free)
    chosen = np.concatenate((first, order[taken]))
    crowded = np.setdiff1d(np.concatenate((pinned, missing[wanted])), chosen)
    mine = field.offered
    return Choice(
        chosen=chosen,
        rules=(Rule.PINNED,) * len(first) + tuple(_CLASS_RULES[number] for number in classes[taken].tolist()),
        crowded=crowded,
        covered=missing[~wanted],
        level=water.level(field.base[mine], field.size[mine], field.capacity),
        gate=gate,
        fetch_level=fetch_level,
    )


def gate_of(field: Survey, free: Bytes) -> int:
    """F + 1, with F at what the archive holds and this node can still add."""
    mine = field.offered
    reach = field.capacity + min(free, total(field.cost[mine]))
    return water.full_copies(water.level(field.base[mine], field.size[mine], reach)) + 1


def _pinned(field: Survey, missing: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what is pinned, the least covered first, ties by this node's own rank."""
    asked = missing[field.pinned[missing]]
    return asked[np.lexsort((-field.g[asked], field.coverage[asked]))]


def _order(
    field: Survey, candidates: NDArray[np.int64], fetch_level: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Candidates, most wanted first, and the class of each."""
    if fetch_level is None:
        return candidates, candidates
    u, g = field.coverage[candidates], field.g[candidates]
    gap = fetch_level - u
    classes = np.where(field.known[candidates], 0, 2) + (gap < 1 - water.SLACK)
    classes = np.where(gap > 0, classes, 4)
    drawn = -(np.log(np.where(gap > 0, gap, 1.0)) + g)
    order = np.lexsort((-g, np.where(gap > 0, drawn, u), classes))
    return candidates[order], classes[order]


def _fill(costs: list[int], free: int) -> NDArray[np.int64]:
    """Positions of what fits, first come first served."""
    taken: list[int] = []
    for position, cost in enumerate(costs):
        if cost <= free:
            taken.append(position)
            free -= cost
    return np.array(taken, dtype=np.int64)
