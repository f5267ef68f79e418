"""What leaves: nothing on unknown, stale or missing evidence; the one exception is keep_free, the host's protection.

- Promises come first, because dropping what is not there yet loses nothing: while the quota or the disk cannot take
  all that is in flight, the least valuable promises are dropped. Blocks of unfinished pieces are counted twice by a
  measurement (as allocated and as in flight); that much doubt is given to the promises unless a limit is really broken.
  Promises of an item that is withdrawn, excluded or not selected are dropped always.
- Below keep_free the least valuable segments go until the deficit is covered, and no segment more.
- Over the quota the same order names what would go; it goes where the guard permits it, the rest waits.
- What the volunteer excluded is the first to go. What is pinned goes for keep_free only, when nothing else is left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.quota import Room
from smartnode.planning.segments import total
from smartnode.planning.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """Indices into the survey: *dropped* promises, *forced* out by keep_free, *permitted* and *refused* by the guard
    over the quota; least valuable first. *rest*: all that is held and not forced out, in the same order.
    """

    dropped: NDArray[np.int64]
    forced: NDArray[np.int64]
    permitted: NDArray[np.int64]
    refused: NDArray[np.int64]
    rest: NDArray[np.int64]


def release(
    field: Survey, room: Room, holdings: Mapping[InfoHash, Holding], *, permits: Callable[[int], bool]
) -> Release:
    """Decide what leaves; *permits*: what the guard says of one segment."""
    promised = field.size - field.cost - field.held
    order = field.worth_less(np.flatnonzero((field.held > 0) | (promised > 0)))
    over = np.array([each.placed.ended is not None for each in field.torrents], dtype=np.bool_)[field.owner]
    ended = np.flatnonzero(over & (promised > 0))
    open_ = order[(promised[order] > 0) & ~over[order]]
    dropped = _until(open_, promised, _overcommitted(room, holdings) - int(promised[ended].sum()))
    held = order[field.held[order] > 0]
    forced = _until(held, field.held, room.below_floor)
    rest = held[len(forced) :]
    rest = rest[~field.pinned[rest]]
    permitted, refused = shrink(rest, field.held, room.over_quota - total(field.held[forced]), permits=permits)
    return Release(
        dropped=np.concatenate((ended, dropped)), forced=forced, permitted=permitted, refused=refused, rest=rest
    )


def shrink(
    order: NDArray[np.int64], weight: NDArray[np.int64], needed: int, *, permits: Callable[[int], bool]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what of *order* goes, until *needed* bytes are free, and what would go next were it permitted: bytes per
    index in *weight*.
    """
    gone: list[int] = []
    stays: list[int] = []
    for index in order.tolist():
        if needed <= 0:
            break
        if permits(index):
            gone.append(index)
            needed -= int(weight[index])
        else:
            stays.append(index)
    refused = np.array(stays, dtype=np.int64)
    return np.array(gone, dtype=np.int64), _until(refused, weight, needed)


def _overcommitted(room: Room, holdings: Mapping[InfoHash, Holding]) -> int:
    """Bytes in flight that the quota or the disk cannot take."""
    over_quota = room.allocated - room.overhead + room.set_aside + room.in_flight - room.quota
    doubt = 0
    if room.over_quota == 0 and room.below_floor == 0:
        held = sum(holding.held_bytes for holding in holdings.values())
        doubt = min(max(room.allocated - room.overhead - held, 0), room.in_flight)
    return max(over_quota, -room.disk_room) - doubt


def _until(order: NDArray[np.int64], weight: NDArray[np.int64], needed: int) -> NDArray[np.int64]:
    """Return the shortest prefix of *order* that weighs *needed*; all of it when it never does."""
    if needed <= 0:
        return order[:0]
    reached = int(np.searchsorted(np.cumsum(weight[order]), needed, side="left"))
    return order[: reached + 1]
