"""What would change a decision, in numbers that were decided by: how many copies elsewhere, how much room, whose word.

A count is the other copies of the segment that a look finds. What has no copy at all has no credit for its mirrors
either, so it stands lower than the first copy would.
"""

import math

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.quota import Room
from smartnode.domain.wishes import Word
from smartnode.planning import water
from smartnode.planning.field import Field
from smartnode.planning.guard import Verdict
from smartnode.planning.policy import Policy


def enough(field: Field, index: int, gate: int) -> int:
    """Other copies, at least 1, from which on segment *index* of the field is not fetched any more."""
    return max(1, math.ceil(gate - water.SLACK - float(field.base[index])))


def rarest(field: Field, gate: int) -> float | None:
    """The coverage of the rarest segment that was seen lately and would be fetched, None when there is none."""
    seen = field.offered & field.known & (field.cost > 0) & (field.coverage < gate - water.SLACK)
    return float(field.coverage[seen].min()) if seen.any() else None


def if_fetched(field: Field, index: int, gate: int) -> str:
    """What would keep a segment from being fetched."""
    if field.pinned[index]:
        return "not fetched once you take the pin back"
    return f"not fetched once {_copies(enough(field, index, gate))} of it {_are(enough(field, index, gate))} seen"


def if_covered(field: Field, indices: NDArray[np.int64], gate: int, room: Room) -> str:
    """What would get segments that have enough copies."""
    fewer = enough(field, int(indices[0]), gate) - 1
    seen = f"at most {_copies(fewer)} of it {_are(fewer)}" if fewer else "no other copy of it is"
    return f"wanted once {seen} seen; {_if_pinned(field, indices, room)}"


def if_crowded(field: Field, indices: NDArray[np.int64], crowded: NDArray[np.int64], room: Room) -> str:
    """What would get segments for which there is no room."""
    lowest = float(field.coverage[indices].min())
    ahead = int(field.cost[crowded[field.coverage[crowded] <= lowest]].sum())
    text = (
        f"fetched with more room: {ahead} bytes that are as rare or rarer, these included, find none in a quota of "
        f"{room.quota} bytes"
    )
    return text if field.pinned[indices[0]] else f"{text}; {_if_pinned(field, indices, room)}"


def _if_pinned(field: Field, indices: NDArray[np.int64], room: Room) -> str:
    """What a pin would do: it makes no room, and what is pinned already may come first."""
    left = room.free - int(field.cost[field.pinned & field.offered].sum())
    if int(field.cost[indices].min()) <= left:
        return "a pin fetches it whatever there is"
    return "a pin puts it first once there is room"


def if_sated(target: int | None) -> str:
    """What would get segments that have the volunteer's own target of copies."""
    fewer = f"fetched once fewer than {target} other copies of it are seen"
    return f"{fewer}, with a larger selection.target_copies, or pinned"


def if_kept(field: Field, index: int, *, word: Word | None, scarce: float | None, policy: Policy) -> str:
    """What would make a held segment go; *scarce*: the coverage of the rarest that it could make room for."""
    if word is Word.PINNED:
        return "goes only when keep_free forces it, or once you take the pin back"
    own = "or when you lower the quota or exclude it, each time only with proof that others hold it"
    if scarce is None:
        return f"goes when something rarer comes into sight, {own}"
    needed = math.ceil(scarce + policy.hysteresis - water.SLACK - float(field.base[index]))
    return f"makes room for something rarer once {_copies(max(1, needed))} of it {_are(max(1, needed))} seen, {own}"


def if_refused(verdict: Verdict, room: Room) -> str:
    """What would let go a segment that is over the quota; proofs do not help while something else bars it."""
    stays = f"stays with a quota of {room.quota + room.over_quota} bytes"
    if verdict.barred:
        proofs = "proof" if verdict.required == 1 else "proofs"
        return (
            f"no proof helps until that has passed, then {verdict.required} {proofs} of better-ranked smartnodes that"
            f" hold it; {stays}"
        )
    missing = verdict.required - verdict.proved
    proofs = "proof" if missing <= 1 else "proofs"
    return f"goes once {max(1, missing)} more {proofs} of better-ranked smartnodes that hold it are there; {stays}"


def _copies(count: int) -> str:
    return "1 other copy" if count == 1 else f"{count} other copies"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
