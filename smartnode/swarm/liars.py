"""Who lied is remembered for a day, by its peer id and by its network; a lie never outlives that, nor does a flood of
lies push out other networks.

Either is enough to be found: a new id costs a liar nothing, and a new network does not make an old id honest. An id can
be worn by others, so a lie told under it may cost its owner a day of not being counted: the side on which nothing is
lost. Pure: the time comes with each call, and may jump.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from smartnode.domain.proof import Lie
from smartnode.domain.swarm import Address

MEMORY = timedelta(hours=24)
LIARS_MAX = 10_000
_Key = TypeVar("_Key", bytes, str)


class Liars:
    """The last lies: one for each peer id and one for each network, at most *most* of either, the oldest go first."""

    def __init__(self, lies: Iterable[Lie] = (), *, memory: timedelta = MEMORY, most: int = LIARS_MAX) -> None:
        """Begin with *lies*, in any order."""
        self._memory = memory
        self._most = most
        self._by_id: dict[bytes, Lie] = {}
        self._by_network: dict[str, Lie] = {}
        self.recall(lies)

    def recall(self, lies: Iterable[Lie]) -> None:
        """Take up lies, in any order."""
        for lie in sorted((*lies, *self._by_id.values(), *self._by_network.values()), key=lambda each: each.at):
            self._add(lie)

    def note(self, address: Address, peer_id: bytes, *, reason: str, now: datetime) -> None:
        """Remember that the peer at *address* lied under *peer_id*, and forget what is too old."""
        self._add(Lie(peer_id=peer_id, network=address.network, at=now, reason=reason))
        self._by_id = {k: lie for k, lie in self._by_id.items() if self._counts(lie, now)}
        self._by_network = {k: lie for k, lie in self._by_network.items() if self._counts(lie, now)}

    def find(self, address: Address, peer_id: bytes, *, now: datetime) -> Lie | None:
        """Return a lie of this peer, else the last one of its network; None: none is remembered."""
        for lie in (self._by_id.get(peer_id), self._by_network.get(address.network)):
            if lie is not None and self._counts(lie, now):
                return lie
        return None

    def lies(self, now: datetime) -> tuple[Lie, ...]:
        """Return what is remembered, oldest first, each lie once."""
        known = {lie: None for lie in (*self._by_id.values(), *self._by_network.values()) if self._counts(lie, now)}
        return tuple(sorted(known, key=lambda lie: (lie.at, lie.peer_id, lie.network)))

    def _counts(self, lie: Lie, now: datetime) -> bool:
        return abs(now - lie.at) < self._memory

    def _add(self, lie: Lie) -> None:
        """Put it last, in place of the earlier one of the same peer or network."""
        _put(self._by_id, lie.peer_id, lie, self._most)
        _put(self._by_network, lie.network, lie, self._most)


def _put(book: dict[_Key, Lie], key: _Key, lie: Lie, most: int) -> None:
    book.pop(key, None)
    book[key] = lie
    while len(book) > most:
        del book[next(iter(book))]
