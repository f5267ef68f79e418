"""Trackers are asked for their counts of every swarm, many in one request, the longest unasked first.

What they count never becomes a copy: it ranks swarms for a look, and the growth of downloads is demand. A tracker that
answers is told to the engine, which has torrents waiting for it.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from smartnode.cycle.needs import EngineRoom, LedgerRoom, TrackersRoom
from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.domain.tracker import Scrape
from smartnode.errors import LedgerError

TRACKERS_PER_TORRENT = 3
TRACKERS_MAX = 64  # asked in one round, those with the most torrents first
_NEVER = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


class Counting:
    """The counts of trackers, a copy of the ledger's."""

    def __init__(self, trackers: TrackersRoom, engine: EngineRoom, ledger: LedgerRoom) -> None:
        """Ask *trackers*; remember in *ledger*."""
        self._trackers = trackers
        self._engine = engine
        self._ledger = ledger
        self._named: dict[InfoHash, tuple[str, ...]] = {}
        self.scrapes: dict[InfoHash, Scrape] = {}
        """What was counted last of each swarm; read by others, changed here only."""

    async def start(self) -> None:
        """Take up what the ledger kept."""
        self.scrapes.update(await self._ledger.scrapes())

    def name(self, items: Mapping[InfoHash, Item]) -> None:
        """Tell the engine where the catalogue announces what is held: it may name other trackers than it did."""
        held = {h: items[h] for h in self._engine.holdings() if h in items}
        for info_hash, item in held.items():
            if item.torrent is not None and self._named.get(info_hash) != item.torrent.trackers:
                self._engine.use_trackers(item)
        self._named = {h: item.torrent.trackers for h, item in held.items() if item.torrent is not None}

    async def run(self, items: Mapping[InfoHash, Item], now: datetime) -> None:
        """Ask once about the torrents of *items*, within the trackers' budgets."""
        torrents = {item.torrent.info_hash: item.torrent for item in items.values() if item.torrent is not None}
        self.name(items)
        for gone in self.scrapes.keys() - torrents.keys():
            del self.scrapes[gone]
        named = Counter(url for torrent in torrents.values() for url in torrent.trackers[:TRACKERS_PER_TORRENT])
        wanted: dict[str, list[InfoHash]] = {url: [] for url, _ in named.most_common(TRACKERS_MAX)}
        for info_hash in sorted(torrents, key=self._asked_at):
            for url in torrents[info_hash].trackers[:TRACKERS_PER_TORRENT]:
                if url in wanted:
                    wanted[url].append(info_hash)
        fresh = await self._trackers.scrape(wanted, now)
        merged = {h: scrape.after(self.scrapes.get(h)) for h, scrape in fresh.items()}
        self.scrapes.update(merged)
        for url in wanted:
            if self._trackers.answered(url):
                self._engine.tracker_answers(url)
        log.debug("swarm.counted", asked=len(torrents), counted=len(fresh), trackers=len(wanted))
        try:
            await self._ledger.remember_scrapes(merged)
        except LedgerError as error:
            log.warning("swarm.counts_not_kept", reason=str(error))

    def _asked_at(self, info_hash: InfoHash) -> tuple[datetime, InfoHash]:
        known = self.scrapes.get(info_hash)
        return (_NEVER if known is None else known.at, info_hash)
