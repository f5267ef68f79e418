"""A plan is a function of what is told: same inputs, same plan; no clock, no randomness, no I/O, no state.

The path: roster (each torrent once) -> survey (segments side by side) -> release (what must leave) -> choose (what the
free quota is for) -> exchange (what a full node gives up for something rarer) -> entries with their reasons. Whatever
is held is in *keep* or in *evictions*; what is promised and not in its torrent's *keep* is dropped by `difference.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Entries, Plan, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.domain.wishes import NO_WISHES, Wishes
from smartnode.planning import because
from smartnode.planning.change import if_kept, rarest
from smartnode.planning.evict import Release, release
from smartnode.planning.fetch import Choice, choose, gate_of
from smartnode.planning.guard import Hearing, Segment, Stakes, Verdict, judge
from smartnode.planning.policy import Candidate, Policy
from smartnode.planning.roster import enrol
from smartnode.planning.segments import total
from smartnode.planning.survey import Survey, survey
from smartnode.planning.swap import NOTHING, Exchange, exchange, take
from smartnode.planning.terms import swap_draw

BLIND: Final = Hearing()
"""Nothing is known of other holders, so the guard permits nothing."""

PROOFS: Final = 2
"""How many times what should go is proved, because not every holder answers."""

_NONE: Final = np.zeros(0, dtype=np.int64)


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
    hearing: Hearing = BLIND,
    swapping: bool = False,
) -> Plan:
    """Plan for the whole free quota; *growth*: by how many bytes C^ grew since the last cycle, 0 in the first.

    *wishes*: the volunteer's word, which goes before every rule but the host's protection and a withdrawal. *hearing*:
    what is known of other holders; without it nothing leaves but for keep_free. *swapping*: this cycle is the one of
    the node's swap period.
    """
    roster, unplaced = enrol(candidates, holdings, wishes=wishes, now=now)
    field = survey(roster, views, policy=policy, node=node_id, now=now)
    gate = gate_of(field, room.free)
    judging = partial(judge, hearing, node=node_id, now=now, terms=policy.terms)
    bench = Bench(field, judging, floor=gate - 1, shrunk=room.over_quota > 0)
    leaving = release(field, room, holdings, permits=_nothing if room.below_floor else bench.permits)
    choice = choose(field, free=room.free, growth=growth, target=policy.target_copies)
    swaps, swapped = NOTHING, _NONE
    if swapping and not room.over_quota and not len(choice.chosen):
        swaps = exchange(field, gate=gate, quota=room.quota, growth=growth, policy=policy)
        draw = swap_draw(node_id, policy.terms.swap_number(node_id, now))
        swapped = take(swaps, field.held, draw=draw, permitted=bench.permits)
    places = {index: place for place, index in enumerate(choice.chosen.tolist(), start=1)}
    fetch = tuple(
        because.entry(
            field, group.tolist(), because.fetching(field, group, rule, choice, places[int(group[0])]), field.cost
        )
        for group, rule in _groups(field, choice.chosen, choice.rules)
    )
    gone = np.concatenate((leaving.forced, leaving.permitted, swapped))
    return Plan(
        fetch=fetch,
        keep=_keep(field, gone=gone, dropped=leaving.dropped, scarce=rarest(field, gate), policy=policy),
        evict=(
            *_forced(field, leaving.forced, room),
            *_shrunk(field, leaving, room, bench),
            *_swapped(field, swapped, swaps, bench),
        ),
        declined=Entries(_declined(field, choice, room), ready=unplaced),
        order=tuple(field.ref(index, int(field.cost[index])) for index in choice.chosen.tolist()),
        evictions=tuple(field.ref(index, int(field.held[index])) for index in gone.tolist()),
        contested=tuple(
            field.ref(index, int(field.held[index]))
            for index in (
                *bench.contested(leaving.rest, PROOFS * room.over_quota),
                *bench.contested(swaps.leaving, PROOFS * swaps.share, urgent=PROOFS * swaps.urgent),
            )
        ),
        quota_bytes=room.quota,
        capacity=field.capacity,
        level=choice.level,
        fetch_level=choice.fetch_level,
        degraded=_degraded(total(field.cost[choice.chosen]), room),
    )


def _nothing(_: int) -> bool:
    """Below keep_free only the host's protection decides: what needs proof goes by itself, in another cycle."""
    return False


class Bench:
    """The guard's verdicts on the segments of one survey; each is judged once."""

    def __init__(
        self, field: Survey, judging: Callable[[Segment, Stakes], Verdict], *, floor: int, shrunk: bool
    ) -> None:
        """Ask *judging*; *floor*: whole copies below the level; *shrunk*: the node is over its quota."""
        self._field = field
        self._judging = judging
        self._floor = floor
        self._shrunk = shrunk
        self._verdicts: dict[tuple[int, bool], Verdict] = {}
        self._permits: dict[int, Verdict] = {}

    def permits(self, index: int, urgent: bool = False) -> bool:  # noqa: FBT001, FBT002 - called by position
        """Segment *index* may go; *urgent*: a first copy comes for it."""
        verdict = self.on(index, urgent=urgent)
        if verdict.permitted:
            self._permits[index] = verdict
        return verdict.permitted

    def permit(self, index: int) -> Verdict:
        """Return why segment *index* may go, or why it may not."""
        return self._permits.get(index) or self.on(index)

    def contested(self, order: NDArray[np.int64], needed: float, *, urgent: float = 0) -> list[int]:
        """Return the first *needed* bytes of *order* that may go once their holders are proved; for *urgent* of them a
        first copy comes.
        """
        found: list[int] = []
        spent = 0
        for index in order.tolist() if needed > 0 else ():
            if spent >= needed:
                break
            if self.on(index, urgent=spent < urgent).provable:
                found.append(index)
                spent += int(self._field.held[index])
        return found

    def on(self, index: int, *, urgent: bool = False) -> Verdict:
        """Return the verdict on segment *index* of the survey."""
        if (index, urgent) not in self._verdicts:
            torrent = self._field.torrents[int(self._field.owner[index])]
            mirrors = torrent.health.mirrors
            stakes = Stakes(floor=self._floor, shrunk=self._shrunk, mirrors=mirrors, urgent=urgent)
            key = (torrent.placed.info_hash, index - torrent.first)
            self._verdicts[index, urgent] = self._judging(key, stakes)
        return self._verdicts[index, urgent]


def _keep(
    field: Survey, *, gone: NDArray[np.int64], dropped: NDArray[np.int64], scarce: float | None, policy: Policy
) -> tuple[PlanEntry, ...]:
    """Whole segments and stray pieces per torrent: held, or promised and not *dropped*; never what is *gone*."""
    unpromised, leaving = np.zeros(len(field.owner), dtype=np.bool_), np.zeros(len(field.owner), dtype=np.bool_)
    unpromised[dropped] = True
    leaving[gone] = True
    entries: list[PlanEntry] = []
    for torrent in field.torrents:
        holding, cut = torrent.placed.holding, torrent.cut
        if holding is None:
            continue
        own = slice(torrent.first, torrent.first + cut.count)
        pieces = cut.layout.num_pieces
        have = holding.have.to_array()
        kept, promised, unpromised_bytes = have, Bytes(0), Bytes(0)
        if leaving[own].any():
            kept = have & ~np.repeat(leaving[own], cut.step)[:pieces]
        staying = total(field.held[own][~leaving[own]])
        if holding.wanted != holding.have:
            wanted = holding.missing.to_array()
            unasked = np.repeat(unpromised[own] | leaving[own], cut.step)[:pieces]
            promised = total(cut.bytes_in(wanted & ~unasked))
            unpromised_bytes = total(cut.bytes_in(wanted & unasked))
            kept = kept | (wanted & ~unasked)
        if not (kept.any() or unpromised_bytes):
            continue
        change = if_kept(field, torrent.first, word=torrent.placed.word, scarce=scarce, policy=policy)
        entries.append(
            PlanEntry(
                item=torrent.placed.key,
                info_hash=torrent.placed.info_hash,
                segments=cut.runs(kept),
                bytes=total(cut.bytes_in(kept)),
                item_bytes=cut.layout.total_size,
                because=because.keeping(torrent, change, have=staying, promised=promised, dropped=unpromised_bytes),
            )
        )
    return tuple(entries)


def _forced(field: Survey, indices: NDArray[np.int64], room: Room) -> list[PlanEntry]:
    """What keep_free forces out, per torrent."""
    return [
        because.entry(field, group.tolist(), because.forcing(field, group, room), field.held)
        for group in _by_torrent(field, indices)
    ]


def _shrunk(field: Survey, leaving: Release, room: Room, bench: Bench) -> list[PlanEntry]:
    """What goes because the quota was lowered, then what would and may not, per torrent; what only lacks proofs apart
    from what no proof would let go.
    """
    barred = np.array([bench.on(index).barred for index in leaving.refused.tolist()], dtype=np.bool_)
    parts = ((leaving.permitted, True), (leaving.refused[~barred], False), (leaving.refused[barred], False))
    return [
        because.entry(
            field,
            group.tolist(),
            because.shrinking(field, group, room, bench.permit(int(group[0]))),
            field.held,
            permitted=permitted,
        )
        for indices, permitted in parts
        for group in _by_torrent(field, indices)
    ]


def _swapped(field: Survey, indices: NDArray[np.int64], swaps: Exchange, bench: Bench) -> list[PlanEntry]:
    """What is given up for rarer segments, per torrent."""
    return [
        because.entry(
            field, group.tolist(), because.swapping(field, group, swaps, bench.permit(int(group[0]))), field.held
        )
        for group in _by_torrent(field, indices)
    ]


def _declined(field: Survey, choice: Choice, room: Room) -> Iterator[tuple[ItemKey, Callable[[], PlanEntry]]]:
    """Segments that could be fetched and are not, once per torrent and rule."""
    for indices, rule in (
        (choice.covered, Rule.ENOUGH_COPIES),
        (choice.sated, Rule.NOT_SELECTED),
        (choice.crowded, Rule.NO_ROOM),
    ):
        for group in _by_torrent(field, indices):
            key = field.torrents[int(field.owner[group[0]])].placed.key
            yield key, partial(_decline, field, group, rule, choice, room)


def _decline(field: Survey, group: NDArray[np.int64], rule: Rule, choice: Choice, room: Room) -> PlanEntry:
    reason = because.declining(field, group, rule, choice=choice, room=room)
    return because.entry(field, group.tolist(), reason, field.cost)


def _by_torrent(field: Survey, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Segments per torrent; groups in the order of their first segment, segments in theirs."""
    if not len(indices):
        return []
    owners = field.owner[indices]
    order = np.argsort(owners, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(owners[order])) + 1)
    return [indices[group] for group in sorted(groups, key=lambda group: int(group[0]))]


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
