"""What is known of every web seed, bounded: 16 of one torrent, 50,000 in all; the torrents longest unheard of go first.

A web seed without a Mirror was never looked at: unknown, which is not the same as none.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror
from smartnode.metainfo.addresses import MAX_WEB_SEEDS
from smartnode.sources.samples import Proof, Sample

MIRRORS_MAX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the catalogue says of the web seeds of a torrent: which, where they are, and whether the version was
    superseded.
    """

    web_seeds: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    superseded: bool = False

    @classmethod
    def by(cls, item: Item) -> Self:
        """Return what *item* says."""
        return cls(web_seeds=item.web_seeds, places=item.places, superseded=item.deprecated)


@dataclass(slots=True, kw_only=True)
class Entry:
    """The web seeds of one torrent: *mirrors* by address in the catalogue's order, None = never looked at.

    *proof* None: not registered since the start, or *refusal* says why its web seeds cannot be checked. *turn*: whose
    turn it is among the samples. *said*: what the catalogue said when it was registered. *regions*: where web seeds
    are, by address, as far as that was said.
    """

    mirrors: dict[str, Mirror | None] = field(default_factory=dict)
    proof: Proof | None = None
    refusal: str = ""
    turn: int = 0
    said: Said | None = None
    regions: Mapping[str, str] = field(default_factory=dict)

    def draw(self, count: int) -> tuple[Sample, ...]:
        """Return the next *count* samples, each once; all of them when there are fewer."""
        if self.proof is None:
            return ()
        samples = self.proof.samples
        drawn = tuple(samples[(self.turn + i) % len(samples)] for i in range(min(count, len(samples))))
        self.turn = (self.turn + len(drawn)) % len(samples)
        return drawn

    def seen(self) -> list[Mirror]:
        """Return those that were looked at."""
        return [mirror for mirror in self.mirrors.values() if mirror is not None]


class Book:
    """Keeps the entries; runs on the loop's thread only."""

    def __init__(self, limit: int = MIRRORS_MAX) -> None:
        """Begin empty; *limit* web seeds in all."""
        self._limit = limit
        self._entries: OrderedDict[InfoHash, Entry] = OrderedDict()
        self._count = 0
        self._changed: dict[tuple[InfoHash, str], None] = {}

    def __iter__(self) -> Iterator[tuple[InfoHash, Entry]]:
        return iter(self._entries.items())

    def __len__(self) -> int:
        return self._count

    def entry(self, info_hash: InfoHash) -> Entry | None:
        """Return what is known of one torrent, None when nothing is."""
        return self._entries.get(info_hash)

    def touch(self, info_hash: InfoHash, said: Said) -> bool:
        """Say whether the torrent is registered with what the catalogue says now; if so, others go before it."""
        entry = self._entries.get(info_hash)
        if entry is None or entry.said != said:
            return False
        self._entries.move_to_end(info_hash)
        return True

    def remember(self, mirrors: Iterable[Mirror]) -> None:
        """Take what was known earlier; what is known better stays."""
        for mirror in mirrors:
            entry = self._entries.setdefault(mirror.info_hash, Entry())
            full = mirror.url not in entry.mirrors and (len(entry.mirrors) >= MAX_WEB_SEEDS or entry.proof is not None)
            if not full and entry.mirrors.get(mirror.url) is None:
                self._count += mirror.url not in entry.mirrors
                entry.mirrors[mirror.url] = mirror
        self._bound()

    def register(
        self,
        info_hash: InfoHash,
        urls: Sequence[str],
        proof: Proof | None,
        refusal: str,
        *,
        said: Said | None = None,
        regions: Mapping[str, str] | None = None,
    ) -> None:
        """Make *urls* the web seeds of the torrent, as the catalogue *said*; others that it had are forgotten."""
        entry = self._entries.setdefault(info_hash, Entry())
        self._entries.move_to_end(info_hash)
        kept = {url: entry.mirrors.get(url) for url in urls[:MAX_WEB_SEEDS]}
        self._count += len(kept) - len(entry.mirrors)
        entry.mirrors, entry.proof, entry.refusal = kept, proof, refusal
        entry.said, entry.regions = said, regions or {}
        self._bound()

    def put(self, mirror: Mirror) -> bool:
        """Replace what is known of one web seed; False when it is registered no more."""
        entry = self._entries.get(mirror.info_hash)
        if entry is None or mirror.url not in entry.mirrors:
            return False
        entry.mirrors[mirror.url] = mirror
        self._changed[mirror.info_hash, mirror.url] = None
        return True

    def changed(self) -> tuple[Mirror, ...]:
        """Return the mirrors put since the last call, as they are now."""
        keys, self._changed = self._changed, {}
        found = (self._entries[h].mirrors.get(url) for h, url in keys if h in self._entries)
        return tuple(mirror for mirror in found if mirror is not None)

    def _bound(self) -> None:
        while max(self._count, len(self._entries)) > self._limit and len(self._entries) > 1:
            _, dropped = self._entries.popitem(last=False)
            self._count -= len(dropped.mirrors)
