"""Health is what was seen of a swarm, told per segment; what was not seen is unknown, and unknown is not zero.

- A holder counts for a segment when it has all of its pieces and was in contact within T_mem. Holders that share a
  peer id or an address are one, seen last with the newest of their bitfields; this node itself is none of them.
- A segment in progress elsewhere (some of its pieces, at a holder that is still downloading) counts once.
- Urgent: when the swarm was last looked at, every holder of the segment had been offline for longer than the policy's
  patience (T_urg, or more while few nodes are away), so nobody counts.
  Absence is measured at the look, because not having looked is no evidence that somebody left.
- A view never looked at, or older than A_max, is not *known*. Its copies within T_mem are still remembered: they
  describe the archive's capacity, and never a segment that is about to be fetched or evicted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import NodeId
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Holder, SwarmView
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut

_CLOCK_SLACK = timedelta(minutes=5)

REMEMBERED: Final = 32_768
"""Bitfields whose segments are remembered between plans, because most views do not change from one to the next."""

REMEMBERED_PIECES: Final = 16_384
"""Longer bitfields are not remembered, so that all of them together take at most 64 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Health:
    """One entry per segment, except *known*, *age* (None: never looked) and *mirrors* (None: unknown).

    *copies*: other holders remembered; *coming*: 1 while the segment is in progress elsewhere.
    """

    known: bool
    age: timedelta | None
    mirrors: int | None
    copies: NDArray[np.int64]
    coming: NDArray[np.int64]


def observe(
    view: SwarmView | None,
    holders: Sequence[Holder],
    cut: Cut,
    *,
    policy: Policy,
    patience: timedelta,
    now: datetime,
) -> Health:
    """Tell *view* per segment of *cut*; holders whose bitfield is of another length are not believed. *holders*: the
    distinct ones of the view. *patience*: how long all holders of a segment may be offline.
    """
    copies, coming = np.zeros(cut.count, dtype=np.int64), np.zeros(cut.count, dtype=np.int64)
    if view is None or view.looked_at is None:
        return Health(known=False, age=None, mirrors=None, copies=copies, coming=coming)
    known = is_within(policy.a_max, view.looked_at, now)
    online = np.zeros(cut.count, dtype=np.bool_)
    for holder in holders:
        if holder.pieces.length != cut.layout.num_pieces or not is_within(policy.t_mem, holder.last_contact, now):
            continue
        whole, begun = _remembered(holder.pieces, cut)
        copies += whole
        if view.looked_at - holder.last_contact <= patience:
            online |= whole
        if holder.progressed_at is not None and is_within(policy.t_progress, holder.progressed_at, now):
            coming |= begun
    copies *= online
    age = max(now - view.looked_at, timedelta(0))
    return Health(known=known, age=age, mirrors=view.mirrors if known else None, copies=copies, coming=coming)


def _remembered(pieces: Bitfield, cut: Cut) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return segments_of(pieces, cut) if pieces.length <= REMEMBERED_PIECES else _segments(pieces, cut)


def _segments(pieces: Bitfield, cut: Cut) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Segments that are whole in *pieces*, and those that are begun and not whole; not to be written to."""
    have = pieces.to_array()
    whole = cut.whole(have)
    begun = cut.touched(have) & ~whole
    whole.flags.writeable = begun.flags.writeable = False
    return whole, begun


segments_of = lru_cache(maxsize=REMEMBERED)(_segments)


def distinct(holders: Iterable[Holder], node: NodeId) -> list[Holder]:
    """One holder per peer: joined through shared peer ids and addresses, the newest sighting of each; never *node*."""
    others = sorted((h for h in holders if h.peer_id != node), key=_age_order)
    if len({h.address for h in others}) == len({h.peer_id for h in others}) == len(others):
        return others  # the usual case, in a tenth of the time
    group: dict[object, int] = {}
    newest: dict[int, Holder] = {}
    for holder in others:
        names: list[object] = [holder.address]
        if holder.peer_id.strip(b"\0"):  # some clients send no id at all
            names.append(holder.peer_id)
        merged = {group[name] for name in names if name in group}
        target = min(merged, default=len(group))
        if len(merged) > 1:
            group.update({name: target for name, number in group.items() if number in merged})
        for number in merged:
            newest.pop(number, None)
        group.update(dict.fromkeys(names, target))
        newest[target] = holder  # ascending by time: the one in hand is the newest of its group
    return list(newest.values())


def _age_order(holder: Holder) -> tuple[datetime, object, bytes, bytes]:
    return (holder.last_contact, holder.address, holder.peer_id, holder.pieces.bits)


def is_within(limit: timedelta, then: datetime, now: datetime) -> bool:
    """*then* is at most *limit* before *now*; a time from the future is no evidence, but for the slack of a clock."""
    return -_CLOCK_SLACK <= now - then <= limit
