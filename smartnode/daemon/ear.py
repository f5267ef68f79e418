"""The node hears the volunteer within seconds: another process writes the words into the ledger, and this looks there.

What was heard last holds while the ledger cannot be read; the cycle is what says that it cannot.
"""

from collections.abc import Sequence
from typing import Protocol

from smartnode.domain.identity import InfoHash
from smartnode.domain.wishes import Wish, Wishes
from smartnode.errors import LedgerError


class WishSource(Protocol):
    """Where the words are kept."""

    async def wishes(self) -> Sequence[Wish]:
        """Return every word of the volunteer, also those that another process has just said."""
        ...


class Ear:
    """The words as they were heard last."""

    def __init__(self, source: WishSource) -> None:
        """Listen to *source*; nothing is heard yet."""
        self._source = source
        self.wishes: tuple[Wish, ...] = ()
        """All of them; read by others, changed here only."""

    async def listen(self) -> bool:
        """Take up the words; returns whether they changed."""
        try:
            wishes = tuple(await self._source.wishes())
        except LedgerError:
            return False
        changed, self.wishes = wishes != self.wishes, wishes
        return changed

    @property
    def pinned(self) -> frozenset[InfoHash]:
        """The torrents that are pinned."""
        return Wishes.of(self.wishes).pinned
