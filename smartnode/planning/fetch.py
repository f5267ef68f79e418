"""The fetch order: what is pinned, then what is known to be at risk, then what was never seen, then what room is left
for.

A candidate is neither held nor promised, fits into the free room, and is covered less than F + 1 or not at all; where
the volunteer set a target of copies, it has fewer elsewhere.
Within a class the largest ln(l_f - u) + g comes first: rarer segments are likelier, and each node draws its own. The
fetch level l_f solves sum of b * max(l_f - u, 0) = max(0.3 * growth of C^, own budget) over the candidates that were
seen lately: what was never seen would pull it down to nothing, and a node would go from one full swarm to the next.
Segments
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
from smartnode.planning.field import Field
from smartnode.planning.segments import total

GROWTH_SHARE: Final = 0.3
"""Part of the swarm's growth that l_f looks ahead: others fill at the same time."""

_APART: Final = 1e4
_TIE: Final = 1e-9

_CLASS_RULES = (Rule.AT_RISK, Rule.AT_RISK, Rule.NEVER_SEEN, Rule.NEVER_SEEN, Rule.SPARE_ROOM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Indices into the survey. *chosen*, with *rules*, in order; *crowded*: wanted, no room; *covered*: enough copies;
    *sated*: wanted, but for the volunteer's *target*.

    *level*: l over the archive; *gate*: F + 1; *fetch_level*: l_f, None without candidates.
    """

    chosen: NDArray[np.int64]
    rules: tuple[Rule, ...]
    crowded: NDArray[np.int64]
    covered: NDArray[np.int64]
    sated: NDArray[np.int64]
    target: int | None
    level: float | None
    gate: int
    fetch_level: float | None


def choose(field: Field, *, free: Bytes, growth: Bytes, target: int | None = None) -> Choice:
    """Fill *free* bytes; nothing that has *target* copies elsewhere is added."""
    missing = np.flatnonzero(field.offered & (field.cost > 0))
    gate = gate_of(field, free)
    pinned = _pinned(field, missing)
    first = pinned[fitting(field.cost[pinned], free)]
    missing, free = missing[~field.pinned[missing]], Bytes(free - total(field.cost[first]))
    u, cost = field.coverage[missing], field.cost[missing]
    wanted = (u < gate - water.SLACK) | (field.seen[missing] == 0)
    covered, sated = missing[~wanted], missing[wanted & field.sated(target)[missing]]
    wanted &= ~field.sated(target)[missing]
    candidate = wanted & (cost <= free)
    sure = candidate & field.known[missing]
    sure = sure if sure.any() else candidate
    fetch_level = water.level(u[sure], cost[sure], max(GROWTH_SHARE * growth, free))
    order, classes = _order(field, missing[candidate], fetch_level)
    taken = fitting(field.cost[order], free)
    chosen = np.concatenate((first, order[taken]))
    passed = np.zeros(len(field.cost), dtype=np.bool_)
    passed[pinned] = True
    passed[missing[wanted]] = True
    passed[chosen] = False
    mine = field.offered
    return Choice(
        chosen=chosen,
        rules=(Rule.PINNED,) * len(first) + tuple(_CLASS_RULES[number] for number in classes[taken].tolist()),
        crowded=np.flatnonzero(passed),
        covered=covered,
        sated=sated,
        target=target,
        level=water.level(field.base[mine], field.size[mine], field.capacity),
        gate=gate,
        fetch_level=fetch_level,
    )


def gate_of(field: Field, free: Bytes) -> int:
    """F + 1, with F at what the archive holds and this node can still add."""
    mine = field.offered
    reach = field.capacity + min(free, total(field.cost[mine]))
    return water.full_copies(water.level(field.base[mine], field.size[mine], reach)) + 1


def _pinned(field: Field, missing: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what is pinned, the least covered first, ties by this node's own rank."""
    asked = missing[field.pinned[missing]]
    return asked[np.lexsort((-field.g[asked], field.coverage[asked]))]


def _order(
    field: Field, candidates: NDArray[np.int64], fetch_level: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Candidates, most wanted first, and the class of each."""
    if fetch_level is None:
        return candidates, candidates
    u, g = field.coverage[candidates], field.g[candidates]
    gap = fetch_level - u
    below = gap > 0
    classes = np.where(field.known[candidates], 0, 2) + (gap < 1 - water.SLACK)
    classes[~below] = 4
    drawn = -(np.log(np.where(below, gap, 1.0)) + g)
    # One key that sorts as (class, drawn) and, above the level, as (class, u, -g): g is below 40, u a few copies.
    key = classes * _APART + np.where(below, drawn, u - _TIE * g)
    order = np.argsort(key)
    return candidates[order], classes[order]


def fitting(costs: NDArray[np.int64], free: int) -> NDArray[np.int64]:
    """Positions of what fits *free* bytes, first come first served; what does not fit is passed over."""
    first = int(np.searchsorted(np.cumsum(costs), free, side="right"))
    rest = costs[first:]
    if not len(rest):
        return np.arange(first)
    free -= int(costs[:first].sum())
    taken: list[int] = []
    at = 0
    while True:
        fits = rest[at:] <= free
        step = int(np.argmax(fits)) if len(fits) else 0
        if not len(fits) or not fits[step]:
            break
        at += step
        taken.append(first + at)
        free -= int(rest[at])
        at += 1
    return np.concatenate([np.arange(first), np.array(taken, dtype=np.int64)])
