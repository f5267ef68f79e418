"""A plan is a value: what to fetch, keep, evict and decline, each with the evidence it rests on; making it changes
nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes, PieceRange


class Rule(StrEnum):
    """Which rule of the placement decided."""

    PINNED = "pinned"  # fetch: the volunteer's word, before everything else
    AT_RISK = "at_risk"  # fetch: viewed, below the water level
    NEVER_SEEN = "never_seen"  # fetch: no view yet, counted as no copy
    SPARE_ROOM = "spare_room"  # fetch: room is left after everything at risk
    HELD = "held"  # keep
    KEEP_FREE = "keep_free"  # evict: the host's floor, the only eviction that needs no proof
    OVER_QUOTA = "over_quota"  # evict: the quota was lowered; only what the guard permits
    SWAP = "swap"  # evict: makes room for rarer segments; only what the guard permits
    NO_TORRENT = "no_torrent"  # decline
    NO_PIECE_LENGTH = "no_piece_length"  # decline: the .torrent has not been read yet
    ENOUGH_COPIES = "enough_copies"  # decline
    NO_ROOM = "no_room"  # decline
    UNPUBLISHED = "unpublished"  # decline
    NOT_SELECTED = "not_selected"  # decline: the configuration's [selection]
    EXCLUDED = "excluded"  # decline: the volunteer's word
    FAILED = "failed"  # decline: waits after a failure
    SAME_TORRENT = "same_torrent"  # decline: this info-hash is placed under another id


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Why: the rule, one sentence with the numbers, and the numbers themselves (None = unknown)."""

    rule: Rule
    text: str
    evidence: dict[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """Segments of one item that share one decision. *permitted* is False when the rule wants it and the guard refuses
    it.
    """

    item: ItemKey
    info_hash: InfoHash | None
    segments: tuple[PieceRange, ...]
    bytes: Bytes
    item_bytes: Bytes
    because: Because
    permitted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRef:
    """One segment of one torrent: its 0-based number, its pieces, its bytes."""

    info_hash: InfoHash
    number: int
    pieces: PieceRange
    bytes: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole target for the free quota. *order*: the segments of *fetch* one by one, most wanted first; *fetch*
    groups the same segments per item and rule, in the order of each group's first segment. *evictions*: the
    permitted ones, least valuable first. *contested*: held segments that may go once their holders are proved, most
    wanted first. *level* and *fetch_level*: the water level l and l_f in copies, None where nothing defines it.
    *capacity*: C^, bytes.
    """

    fetch: tuple[PlanEntry, ...]
    keep: tuple[PlanEntry, ...]
    evict: tuple[PlanEntry, ...]
    declined: tuple[PlanEntry, ...]
    order: tuple[SegmentRef, ...]
    evictions: tuple[SegmentRef, ...]
    quota_bytes: Bytes
    capacity: Bytes
    level: float | None
    fetch_level: float | None
    contested: tuple[SegmentRef, ...] = ()
    degraded: tuple[str, ...] = ()
