"""Which web seeds are asked now: those of torrents that are waited for first, the others in turn and within a purse.

Whole pieces of torrents that nobody waits for are paid from the purse; a torrent that is waited for pays nothing while
it has fewer live web seeds than libtorrent uses at once. A call costs milliseconds, however many web seeds there are.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror
from smartnode.sources.book import Book, Entry
from smartnode.sources.hosts import Budget, Hosts, Purse, host_of
from smartnode.sources.samples import Proof, Sample
from smartnode.sources.schedule import Schedule

TORRENTS_PER_CALL = 1000
Key = tuple[InfoHash, str]
"""One web seed: the torrent, and the address as the catalogue names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One look to make, light without *samples*. *before*: what was known when it was chosen. *urgent*: the torrent is
    waited for.
    """

    key: Key
    proof: Proof
    before: Mirror | None
    samples: tuple[Sample, ...]
    urgent: bool


class Choice:
    """Chooses; keeps whose turn it is and what was spent, nothing else."""

    def __init__(self, book: Book, schedule: Schedule, hosts: Hosts, budget: Budget) -> None:
        """Choose from *book* by *schedule*, within *budget*, at the *hosts* that are open."""
        self._book = book
        self._schedule = schedule
        self._hosts = hosts
        self._budget = budget
        self._purse = Purse(budget)
        self._round: list[InfoHash] = []
        self.wanted: frozenset[InfoHash] = frozenset()
        """The torrents that are waited for."""

    def due(self, now: datetime, under_way: Collection[Key], torrents: Iterable[InfoHash] | None = None) -> list[Key]:
        """Return the web seeds of *torrents* (None: of all) to be asked now, except those *under_way*: waited for
        first, then never asked, then by when they fell due.
        """
        found: list[tuple[bool, bool, datetime, Key]] = []
        for info_hash in [h for h, _ in self._book] if torrents is None else torrents:
            entry = self._book.entry(info_hash)
            if entry is None or entry.proof is None:
                continue
            for url, mirror in entry.mirrors.items():
                at = now if mirror is None else self._schedule.due_at(mirror, now)
                if at <= now and (info_hash, url) not in under_way and self._hosts.is_open(host_of(url), now):
                    found.append((info_hash not in self.wanted, mirror is not None, at, (info_hash, url)))
        return [key for *_, key in sorted(found, key=lambda row: row[:3])]

    def choose(self, now: datetime, under_way: Collection[Ask]) -> list[Ask]:
        """Return the looks to begin now, at most as many as the budget has room for beside those *under_way*."""
        together, poor = list(under_way), False
        for key in self.due(now, {ask.key for ask in under_way}, self._turn()):
            if len(together) >= self._budget.looks:
                break
            if poor and key[0] not in self.wanted and self._needs_pieces(key):
                continue
            host = host_of(key[1])
            if sum(host_of(ask.key[1]) == host for ask in together) >= self._budget.per_host_looks:
                continue
            rushed = sum(ask.key[0] == key[0] and ask.urgent for ask in together)
            ask = self._ask(key, rushed, now)
            if ask is not None:
                together.append(ask)
            poor = poor or ask is None
        return together[len(under_way) :]

    def afford(self, entry: Entry, count: int, now: datetime, *, urgent: bool) -> tuple[Sample, ...] | None:
        """Draw *count* samples; None when that is too much for a torrent that nobody waits for."""
        samples = entry.draw(count)
        cost = sum(sample.size for sample in samples)
        return samples if urgent or not cost or self._purse.take(cost, now) else None

    def _turn(self) -> list[InfoHash]:
        """Return the torrents that are waited for and, in turn, some of the others."""
        if not self._round:
            self._round = [info_hash for info_hash, _ in self._book]
        some, self._round = self._round[:TORRENTS_PER_CALL], self._round[TORRENTS_PER_CALL:]
        return [*sorted(self.wanted), *(h for h in some if h not in self.wanted)]

    def _ask(self, key: Key, rushed: int, now: datetime) -> Ask | None:
        """Return the look at one web seed; None when its pieces cost more than may be spent on it now."""
        entry = self._book.entry(key[0])
        if entry is None or entry.proof is None:
            return None
        before = entry.mirrors.get(key[1])
        serving = sum(self._schedule.serves(mirror, now) for mirror in entry.seen())
        urgent = key[0] in self.wanted and serving + rushed < self._budget.urgent_mirrors
        samples = self.afford(entry, self._schedule.pieces(before, now), now, urgent=urgent)
        if samples is None and self._needs_pieces(key):
            return None
        return Ask(key=key, proof=entry.proof, before=before, samples=samples or (), urgent=urgent)

    def _needs_pieces(self, key: Key) -> bool:
        """Say whether a light look says nothing: no piece had its hash yet, or none since other bytes were met."""
        entry = self._book.entry(key[0])
        mirror = None if entry is None else entry.mirrors.get(key[1])
        return mirror is None or mirror.hashed_at is None
