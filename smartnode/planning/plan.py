"""A plan is a function of what is told: same inputs, same plan; no clock, no randomness, no I/O, no state.

The path: roster (each torrent once) -> survey (segments side by side) -> release (what leaves) -> choose (what the free
quota is for) -> entries with their reasons. Whatever is held is in *keep* or in *evictions*; what is promised and not
in its torrent's *keep* is dropped by `difference.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Plan, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.domain.wishes import NO_WISHES, Wishes
from smartnode.planning import because
from smartnode.planning.evict import Release, release
from smartnode.planning.fetch import Choice, choose
from smartnode.planning.policy import Candidate, Policy
from smartnode.planning.roster import enrol
from smartnode.planning.segments import total
from smartnode.planning.survey import Survey, survey


def make_plan(
    candidates: Sequence[Candidate],
    *,
    views: Mapping[InfoHash, SwarmView],
    holdings: Mapping[InfoHash, Holding],
    room: Room,
    policy: Policy,
    node_id: NodeId,
    now: datetime,
    growth: Bytes,
    wishes: Wishes = NO_WISHES,
) -> Plan:
    """Plan for the whole free quota; *growth*: by how many bytes C^ grew since the last cycle, 0 in the first.
    *wishes*: the volunteer's word, which goes before every rule but the host's protection and a withdrawal.
    """
    roster, unplaced = enrol(candidates, holdings, wishes=wishes, now=now)
    field = survey(roster, views, policy=policy, node=node_id, now=now)
    leaving = release(field, room, holdings)
    choice = choose(field, free=room.free, growth=growth)
    fetch = tuple(
        because.entry(field, group.tolist(), because.fetching(field, group, rule, choice), field.cost)
        for group, rule in _groups(field, choice.chosen, choice.rules)
    )
    return Plan(
        fetch=fetch,
        keep=_keep(field, leaving),
        evict=_evict(field, leaving, room, floor=choice.gate - 1, policy=policy),
        declined=(*unplaced, *_declined(field, choice, room)),
        order=tuple(field.ref(index, int(field.cost[index])) for index in choice.chosen.tolist()),
        evictions=tuple(field.ref(index, int(field.held[index])) for index in leaving.forced.tolist()),
        quota_bytes=room.quota,
        capacity=field.capacity,
        level=choice.level,
        fetch_level=choice.fetch_level,
        degraded=_degraded(total(field.cost[choice.chosen]), room),
    )


def _keep(field: Survey, leaving: Release) -> tuple[PlanEntry, ...]:
    """Whole segments and stray pieces per torrent: held, or promised and not dropped; never what is forced out."""
    dropped, forced = np.zeros(len(field.owner), dtype=np.bool_), np.zeros(len(field.owner), dtype=np.bool_)
    dropped[leaving.dropped] = True
    forced[leaving.forced] = True
    entries: list[PlanEntry] = []
    for torrent in field.torrents:
        holding, cut = torrent.placed.holding, torrent.cut
        if holding is None:
            continue
        own = slice(torrent.first, torrent.first + cut.count)
        pieces = cut.layout.num_pieces
        gone = np.repeat(forced[own], cut.step)[:pieces]
        unasked = np.repeat(dropped[own] | forced[own], cut.step)[:pieces]
        have, wanted = holding.have.to_array(), holding.missing.to_array()
        kept = (have & ~gone) | (wanted & ~unasked)
        if not (kept.any() or wanted.any()):
            continue
        entries.append(
            PlanEntry(
                item=torrent.placed.key,
                info_hash=torrent.placed.info_hash,
                segments=cut.runs(kept),
                bytes=total(cut.bytes_in(kept)),
                item_bytes=cut.layout.total_size,
                because=because.keeping(
                    torrent,
                    have=total(cut.bytes_in(have & ~gone)),
                    promised=total(cut.bytes_in(wanted & ~unasked)),
                    dropped=total(cut.bytes_in(wanted & unasked)),
                ),
            )
        )
    return tuple(entries)


def _evict(field: Survey, leaving: Release, room: Room, *, floor: int, policy: Policy) -> tuple[PlanEntry, ...]:
    """Forced out, then refused, each grouped per torrent in the order of its first segment."""
    forced = [
        because.entry(field, group.tolist(), because.forcing(field, group, room), field.held)
        for group, _ in _groups(field, leaving.forced, (Rule.KEEP_FREE,) * len(leaving.forced))
    ]
    refused = [
        because.entry(
            field,
            group.tolist(),
            because.refusing(field, group, room, floor=floor, policy=policy),
            field.held,
            permitted=False,
        )
        for group, _ in _groups(field, leaving.refused, (Rule.OVER_QUOTA,) * len(leaving.refused))
    ]
    return (*forced, *refused)


def _declined(field: Survey, choice: Choice, room: Room) -> tuple[PlanEntry, ...]:
    """Segments that could be fetched and are not, once per torrent and rule."""
    entries: list[PlanEntry] = []
    for indices, rule in ((choice.covered, Rule.ENOUGH_COPIES), (choice.crowded, Rule.NO_ROOM)):
        for group, _ in _groups(field, indices, (rule,) * len(indices)):
            reason = because.declining(field, group, rule, choice=choice, room=room)
            entries.append(because.entry(field, group.tolist(), reason, field.cost))
    return tuple(entries)


def _groups(field: Survey, indices: NDArray[np.int64], rules: Sequence[Rule]) -> list[tuple[NDArray[np.int64], Rule]]:
    """Segments per torrent and rule; groups in the order of their first segment, segments in theirs."""
    groups: dict[tuple[int, Rule], list[int]] = {}
    for index, owner, rule in zip(indices.tolist(), field.owner[indices].tolist(), rules, strict=True):
        groups.setdefault((owner, rule), []).append(index)
    return [(np.array(group, dtype=np.int64), rule) for (_, rule), group in groups.items()]


def _degraded(target: int, room: Room) -> tuple[str, ...]:
    """Say how far the disk falls short of the target."""
    missing = target - room.disk_room
    if target == 0 or missing <= 0:
        return ()
    return (f"disk: {missing} bytes are missing for the whole target; free them, or lower quota or keep_free",)
