"""The difference is what the daemon does now: a paced prefix of the plan, never past the quota or the disk's room.

A cycle starts at most pace * quota bytes less what is still on its way, and at least one segment where one fits, so
that the next looks correct the rest before it is begun. The wanted pieces of a torrent are those held, those promised
that the plan keeps, and those started now; pieces that leave are named apart, because they leave by another way. A
torrent that the plan does not know is left as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.plan import Plan, SegmentRef
from smartnode.domain.quota import Room
from smartnode.planning.policy import Policy

STUCK: Final = 32
"""Part of the pace that is started whatever is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """*wanted*: the new wanted pieces of each torrent whose wanted pieces change. *evict*: held pieces that leave; they
    leave first, and are in no *wanted*. *started*: the segments begun now; *dropped*: bytes no longer asked for.
    """

    wanted: Mapping[InfoHash, Bitfield]
    evict: Mapping[InfoHash, Bitfield]
    started: tuple[SegmentRef, ...]
    dropped: Mapping[InfoHash, Bytes]

    @property
    def is_empty(self) -> bool:
        """There is nothing to do."""
        return not self.wanted and not self.evict


def targets(plan: Plan, policy: Policy, room: Room) -> tuple[InfoHash, ...]:
    """The swarms that the next prefix touches, most wanted first: look at them before planning for real."""
    return tuple(dict.fromkeys(segment.info_hash for segment in _prefix(plan.order, policy, room)))


def difference(
    plan: Plan,
    *,
    holdings: Mapping[InfoHash, Holding],
    room: Room,
    policy: Policy,
    layouts: Mapping[InfoHash, Layout],
) -> Difference:
    """Say what changes; a segment is not started while *layouts* does not cut its torrent as the plan did."""
    cuts = {**layouts, **{info_hash: holding.layout for info_hash, holding in holdings.items()}}
    ready = tuple(
        segment
        for segment in plan.order
        if segment.info_hash in holdings or _is_cut_alike(segment, layouts.get(segment.info_hash))
    )
    started = _prefix(ready, policy, room)
    leaving = _per_torrent(plan.evictions, cuts)
    starting = _per_torrent(started, cuts)
    kept = {entry.info_hash: entry.segments for entry in plan.keep if entry.info_hash is not None}
    wanted: dict[InfoHash, Bitfield] = {}
    evict: dict[InfoHash, Bitfield] = {}
    dropped: dict[InfoHash, Bytes] = {}
    for info_hash, holding in sorted(holdings.items()):
        nothing = Bitfield.empty(holding.layout.num_pieces)
        gone = leaving.get(info_hash, nothing)
        asked = holding.missing
        if info_hash in kept:
            asked = asked & Bitfield.from_ranges(kept[info_hash], nothing.length)
        after = ((holding.have | asked) - gone) | starting.get(info_hash, nothing)
        if after != holding.wanted:
            wanted[info_hash] = after
        if (out := holding.have & gone).count():
            evict[info_hash] = out
        if (unasked := holding.missing - after).count():
            dropped[info_hash] = holding.layout.bytes_in(unasked)
    wanted |= {info_hash: pieces for info_hash, pieces in starting.items() if info_hash not in holdings}
    return Difference(wanted=wanted, evict=evict, started=started, dropped=dropped)


def _prefix(order: tuple[SegmentRef, ...], policy: Policy, room: Room) -> tuple[SegmentRef, ...]:
    """Return what one cycle starts."""
    left, pace = min(room.free, room.disk_room), pace_of(policy, quota=room.quota, in_flight=room.in_flight)
    return tuple(order[at] for at in paced([segment.bytes for segment in order], left=left, pace=pace))


def pace_of(policy: Policy, *, quota: int, in_flight: int) -> int:
    """Bytes that one cycle starts: pace * quota less what is still on its way, so that a slow link does not promise its
    whole quota on old looks, and a 32nd of it at least, so that what never arrives holds nothing up.
    """
    usual = int(policy.pace * quota)
    return max(usual - in_flight, usual // STUCK)


def paced(sizes: Sequence[int], *, left: int, pace: int) -> list[int]:
    """Return the positions that one cycle starts: what does not fit *left* bytes is passed over, *pace* bytes end the
    walk, one segment is always begun.
    """
    taken: list[int] = []
    for position, size in enumerate(sizes):
        if size > left:
            continue
        if taken and size > pace:
            break
        taken.append(position)
        left -= size
        pace -= size
    return taken


def _is_cut_alike(segment: SegmentRef, layout: Layout | None) -> bool:
    """*layout* gives the segment of a torrent that is not held the bytes that the plan counted."""
    inside = layout is not None and segment.pieces.last < layout.num_pieces
    return layout is not None and inside and layout.bytes_of(segment.pieces) == segment.bytes


def _per_torrent(segments: tuple[SegmentRef, ...], cuts: Mapping[InfoHash, Layout]) -> dict[InfoHash, Bitfield]:
    """Return the pieces of *segments* as one set per torrent."""
    found: dict[InfoHash, np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}
    for segment in segments:
        have = found.setdefault(segment.info_hash, np.zeros(cuts[segment.info_hash].num_pieces, dtype=np.bool_))
        have[segment.pieces.first : segment.pieces.last + 1] = True
    return {info_hash: Bitfield.from_array(have) for info_hash, have in found.items()}
