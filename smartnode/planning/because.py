"""Every entry says why in one sentence, with the numbers it rests on as values: None is unknown, never 0."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Because, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.wishes import Word
from smartnode.planning.change import if_covered, if_crowded, if_fetched, if_refused, if_sated
from smartnode.planning.fetch import Choice
from smartnode.planning.guard import Verdict
from smartnode.planning.survey import Survey, Surveyed
from smartnode.planning.swap import Exchange

Numbers = dict[str, float | int | str | None]
"""What `Because.evidence` holds."""

_ENDED = {
    Rule.UNPUBLISHED: "its item was withdrawn",
    Rule.EXCLUDED: "the volunteer excluded it",
    Rule.NOT_SELECTED: "the selection leaves it out",
}


def sight(torrent: Surveyed) -> Numbers:
    """Say when and by whom a swarm was seen, and what its item asks for."""
    view, item, age = torrent.view, torrent.placed.item, torrent.health.age
    return {
        "view_age_s": None if age is None else age.total_seconds(),
        "witness": None if view is None or view.witness is None else view.witness.value,
        "mirrors": torrent.health.mirrors,
        "priority": None if item is None else item.priority,
        "target_replicas": None if item is None else item.target_replicas,
        "downloads_in_a_week": torrent.demand.downloads,
        "slow_leechers": torrent.demand.slow,
        "no_mirror_in": torrent.bare,
        "word": torrent.placed.word,
    }


def fetching(field: Survey, indices: NDArray[np.int64], rule: Rule, choice: Choice, place: int) -> Because:
    """Why the segments *indices* of one torrent are to be fetched; *place* of the first in the order, from 1."""
    torrent = field.torrents[int(field.owner[indices[0]])]
    evidence = sight(torrent) | _coverage(field, indices, torrent)
    evidence |= {"level": choice.level, "fetch_level": choice.fetch_level, "gate": choice.gate}
    evidence |= {"place": place, "places": len(choice.chosen)}
    seen, lowest = _seen(torrent, evidence), float(field.coverage[indices].min())
    match rule:
        case Rule.PINNED:
            text = f"pinned: the volunteer wants it, whatever its coverage; {seen}"
        case Rule.AT_RISK:
            text = f"at risk: {seen}; coverage {lowest:.2f} is below the fetch level {choice.fetch_level:.2f}"
        case Rule.NEVER_SEEN:
            text = f"not seen lately: {seen}; it is looked at before it is begun, and a copy is made in doubt"
        case _:
            text = f"room is left: {seen}; coverage {lowest:.2f} is below the gate of {choice.gate} copies"
    text += f"; place {place} of {len(choice.chosen)} segments that come"
    return Because(rule=rule, text=text, evidence=evidence, change=if_fetched(field, int(indices[0]), choice.gate))


def declining(field: Survey, indices: NDArray[np.int64], rule: Rule, *, choice: Choice, room: Room) -> Because:
    """Why the segments *indices* of one torrent are not fetched: NO_ROOM, ENOUGH_COPIES or NOT_SELECTED."""
    torrent = field.torrents[int(field.owner[indices[0]])]
    evidence = sight(torrent) | _coverage(field, indices, torrent)
    evidence |= {"level": choice.level, "gate": choice.gate, "free_bytes": room.free}
    seen = _seen(torrent, evidence)
    if rule is Rule.NO_ROOM and torrent.placed.word is Word.PINNED:
        text = f"no room for all that is pinned: {room.free} bytes of the quota are free; {seen}"
        change = if_crowded(field, indices, choice.crowded, room)
    elif rule is Rule.NO_ROOM:
        text = f"no room: {room.free} bytes of the quota are free, and other segments come first; {seen}"
        change = if_crowded(field, indices, choice.crowded, room)
    elif rule is Rule.NOT_SELECTED:
        evidence |= {"key": "selection.target_copies", "value": choice.target}
        text = f"not selected: selection.target_copies is {choice.target}, and so many are there; {seen}"
        change = if_sated(choice.target)
    else:
        lowest = float(field.coverage[indices].min())
        text = f"enough copies: {seen}; coverage {lowest:.2f} has reached the gate of {choice.gate} copies"
        change = if_covered(field, indices, choice.gate, room)
    return Because(rule=rule, text=text, evidence=evidence, change=change)


def keeping(torrent: Surveyed, change: str, *, have: Bytes, promised: Bytes, dropped: Bytes) -> Because:
    """Why what is held of one torrent stays; *change*: what would make it go."""
    placed = torrent.placed
    evidence = sight(torrent) | {"have_bytes": have, "in_flight_bytes": promised, "dropped_in_flight_bytes": dropped}
    parts = [f"held: {have} bytes verified"]
    parts += [f"{promised} bytes on their way"] if promised else []
    why = "the room is not there any more" if placed.ended is None else _ENDED[placed.ended]
    parts += [f"{dropped} bytes no longer asked for: {why}"] if dropped else []
    parts += ["pinned by the volunteer"] if placed.word is Word.PINNED else []
    if placed.ended is not None:
        parts.append(f"nothing more of it is fetched: {why}")
    elif placed.item is None:
        parts.append("no item of this cycle offers it: absence deletes nothing")
    return Because(rule=Rule.HELD, text="; ".join(parts), evidence=evidence, change=change)


def forcing(field: Survey, indices: NDArray[np.int64], room: Room) -> Because:
    """Why keep_free forces the segments *indices* of one torrent out."""
    torrent = field.torrents[int(field.owner[indices[0]])]
    evidence = sight(torrent) | _coverage(field, indices, torrent) | {"below_floor_bytes": room.below_floor}
    pinned = "; it is pinned, and nothing else is left to go" if torrent.placed.word is Word.PINNED else ""
    text = (
        f"FORCED OUT to protect the host: the disk is {room.below_floor} bytes below keep_free{pinned}; no copy "
        f"elsewhere is proved ({_seen(torrent, evidence)})"
    )
    return Because(rule=Rule.KEEP_FREE, text=text, evidence=evidence)


def shrinking(field: Survey, indices: NDArray[np.int64], room: Room, verdict: Verdict) -> Because:
    """Why the segments *indices* of one torrent go, or may not go, while the node is over its quota."""
    evidence = _judged(field, indices, verdict) | {"over_quota_bytes": room.over_quota}
    over = f"{room.over_quota} bytes over"
    if verdict.permitted:
        return Because(
            rule=Rule.OVER_QUOTA, text=f"over quota, letting go: {over}; {_proof(verdict)}", evidence=evidence
        )
    text = f"over quota, waiting: {over}; {verdict.reason}"
    return Because(rule=Rule.OVER_QUOTA, text=text, evidence=evidence, change=if_refused(verdict, room))


def swapping(field: Survey, indices: NDArray[np.int64], swaps: Exchange, verdict: Verdict) -> Because:
    """Why the segments *indices* of one torrent make room for rarer ones."""
    torrent = field.torrents[int(field.owner[indices[0]])]
    evidence = _judged(field, indices, verdict) | {"share_bytes": int(swaps.share), "moving_bytes": int(swaps.moving)}
    text = f"makes room for rarer segments: {_seen(torrent, evidence)}; {_proof(verdict)}"
    return Because(rule=Rule.SWAP, text=text, evidence=evidence)


def _judged(field: Survey, indices: NDArray[np.int64], verdict: Verdict) -> Numbers:
    torrent = field.torrents[int(field.owner[indices[0]])]
    return (
        sight(torrent)
        | _coverage(field, indices, torrent)
        | {
            "smartnode_holders_seen": verdict.seen,
            "smartnode_holders_required": verdict.required,
            "smartnode_holders_proved": verdict.proved,
        }
    )


def _proof(verdict: Verdict) -> str:
    return f"{verdict.proved} better-ranked smartnodes were proved to hold every piece, {verdict.required} are needed"


def entry(
    field: Survey, indices: Iterable[int], because: Because, weight: NDArray[np.int64], *, permitted: bool = True
) -> PlanEntry:
    """Put segments of one torrent that share *because* into one entry of *weight* bytes."""
    chosen = list(indices)
    torrent = field.torrents[int(field.owner[chosen[0]])]
    return PlanEntry(
        item=torrent.placed.key,
        info_hash=torrent.placed.info_hash,
        segments=torrent.cut.ranges(np.array(chosen, dtype=np.int64) - torrent.first),
        bytes=Bytes(int(weight[chosen].sum())),
        item_bytes=torrent.placed.layout.total_size,
        because=because,
        permitted=permitted,
    )


def _coverage(field: Survey, indices: NDArray[np.int64], torrent: Surveyed) -> Numbers:
    copies = field.seen[indices]
    known = torrent.health.known
    return {
        "u": float(field.coverage[indices].min()),
        "copies_seen": int(copies.min()) if known else None,
        "copies_seen_max": int(copies.max()) if known else None,
        "copies_remembered": None if torrent.health.age is None else int(field.copies[indices].min()),
    }


def _seen(torrent: Surveyed, evidence: Numbers) -> str:
    wanted = ""
    if torrent.demand.is_there:
        counted, slow = torrent.demand.downloads, torrent.demand.slow
        wanted = f"; in demand: {'?' if counted is None else counted} downloads in a week, {slow} slow leechers"
    wanted += "" if torrent.bare is None else f"; no live mirror in {torrent.bare}"
    age = torrent.health.age
    if age is None:
        return f"the swarm was never looked at{wanted}"
    ago = f"{age.total_seconds() / 60:.0f} min ago"
    if not torrent.health.known:
        return f"the last look, {ago}, is too old to count{wanted}"
    low, high = evidence["copies_seen"], evidence["copies_seen_max"]
    return f"{low if low == high else f'{low} to {high}'} other copies seen {ago} by {evidence['witness']}{wanted}"
