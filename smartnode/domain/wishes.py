"""The volunteer's word on a torrent: pinned or excluded, never both; the one that was said last counts.

It is keyed by info-hash: one version of one dataset, whatever its id is and whether a catalogue names it now or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from smartnode.domain.identity import InfoHash


class Word(StrEnum):
    """What a volunteer may say of a torrent."""

    PINNED = "pinned"  # fetched before everything else, let go last and for keep_free only
    EXCLUDED = "excluded"  # not fetched; what is held of it is the first that may leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One word about one torrent. *item*: what it was called when the word was said, its info-hash where it had no
    other name.
    """

    info_hash: InfoHash
    word: Word
    item: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """All words as planning is told them; ValueError when a torrent is in both sets."""

    pinned: frozenset[InfoHash] = frozenset()
    excluded: frozenset[InfoHash] = frozenset()

    def __post_init__(self) -> None:
        if both := self.pinned & self.excluded:
            message = f"pinned and excluded at once: {', '.join(sorted(both))}"
            raise ValueError(message)

    @classmethod
    def of(cls, wishes: Iterable[Wish]) -> Self:
        """Gather wishes, at most one per torrent."""
        said = {wish.info_hash: wish.word for wish in wishes}
        return cls(
            pinned=frozenset(h for h, word in said.items() if word is Word.PINNED),
            excluded=frozenset(h for h, word in said.items() if word is Word.EXCLUDED),
        )

    def word(self, info_hash: InfoHash) -> Word | None:
        """Return what was said of a torrent, None when nothing was."""
        if info_hash in self.pinned:
            return Word.PINNED
        return Word.EXCLUDED if info_hash in self.excluded else None


NO_WISHES = Wishes()
