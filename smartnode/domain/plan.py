"""A plan is a value: what to fetch, keep, evict and decline, each with the evidence it rests on; making it changes
nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import overload

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
    """Why: the rule, one sentence with the numbers, and the numbers themselves (None = unknown). *change*: one sentence
    about what would change the decision, empty where nothing but the catalogue or the configuration could.
    """

    rule: Rule
    text: str
    evidence: dict[str, float | int | str | None] = field(default_factory=dict)
    change: str = ""


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


Part = tuple[ItemKey, Callable[[], PlanEntry]]
"""The item of an entry, and what makes the entry."""


class Entries(Sequence[PlanEntry]):
    """Entries that are made when somebody reads them: what a plan of a whole archive declines is thousands of them, and
    a cycle reads none. Equal to any sequence of the same entries.
    """

    def __init__(self, parts: Iterable[Part] = (), *, ready: Iterable[PlanEntry] = ()) -> None:
        """Take what is *ready*, then the item of each entry and what makes it; the makers are pure."""
        self._parts: tuple[Part, ...] = (*_ready(ready), *parts)

    @overload
    def __getitem__(self, index: int) -> PlanEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PlanEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> PlanEntry | tuple[PlanEntry, ...]:
        if isinstance(index, slice):
            return tuple(make() for _, make in self._parts[index])
        return self._parts[index][1]()

    def __len__(self) -> int:
        return len(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # evidence has none

    def of(self, item: ItemKey) -> tuple[PlanEntry, ...]:
        """Return the entries of one item; no others are made."""
        return tuple(make() for key, make in self._parts if key == item)

    def plus(self, more: Iterable[PlanEntry]) -> "Entries":
        """Return these and *more* after them."""
        return Entries((*self._parts, *_ready(more)))


def _ready(entries: Iterable[PlanEntry]) -> Iterator[Part]:
    return ((entry.item, partial(_as_is, entry)) for entry in entries)


def _as_is(entry: PlanEntry) -> PlanEntry:
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRef:
    """One segment of one torrent: its 0-based number, its pieces, its bytes."""

    info_hash: InfoHash
    number: int
    pieces: PieceRange
    bytes: Bytes

    @property
    def key(self) -> tuple[InfoHash, int]:
        """Which one it is."""
        return self.info_hash, self.number


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
    declined: Entries
    order: tuple[SegmentRef, ...]
    evictions: tuple[SegmentRef, ...]
    quota_bytes: Bytes
    capacity: Bytes
    level: float | None
    fetch_level: float | None
    contested: tuple[SegmentRef, ...] = ()
    degraded: tuple[str, ...] = ()
