"""The engine is given only web seeds that were seen to serve the right bytes, and is told at once when that changes.

Runs between cycles, every few seconds: torrents that miss pieces first, then what is held, then what a cycle looked at.
Nothing is asked of a server here; the sources decide when, within their budgets.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

import structlog

from smartnode.cycle.backoff import Backoff
from smartnode.cycle.metainfos import Metainfos
from smartnode.cycle.needs import EngineRoom, LedgerRoom, SourcesRoom
from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.errors import LedgerError, SmartnodeError

LEARNT_PER_RUN = 8  # .torrent files read
NOTICED_MAX = 1_000

log = structlog.get_logger(__name__)


class Mirroring:
    """Brings web seeds from the sources to the engine."""

    def __init__(
        self,
        *,
        engine: EngineRoom,
        sources: SourcesRoom,
        ledger: LedgerRoom,
        metainfos: Metainfos,
        backoff: Backoff,
    ) -> None:
        """Read .torrent files from *metainfos*, those that wait in *backoff* left out; remember in *ledger*."""
        self._backoff = backoff
        self._engine = engine
        self._sources = sources
        self._ledger = ledger
        self._metainfos = metainfos
        self._noticed: OrderedDict[InfoHash, Item] = OrderedDict()
        self._failed: set[InfoHash] = set()
        self._given: set[InfoHash] = set()

    async def start(self) -> None:
        """Take up what the ledger kept."""
        self._sources.know(await self._ledger.mirrors())

    def notice(self, items: Iterable[Item]) -> None:
        """Look at the mirrors of these items when there is time; the oldest of more than 1,000 are forgotten."""
        for item in items:
            if item.torrent is not None and not self._sources.expects(item):
                self._noticed[item.torrent.info_hash] = item
        while len(self._noticed) > NOTICED_MAX:
            self._noticed.popitem(last=False)

    async def run(self, items: Mapping[InfoHash, Item], now: datetime) -> None:
        """Look once at what is due; *items* are those of the catalogue in use."""
        holdings = self._engine.holdings()
        wanted = {h for h, holding in holdings.items() if holding.missing.count()}
        held = [items[h] for h in (*sorted(wanted), *sorted(holdings.keys() - wanted)) if h in items]
        await self._learn(held, now)
        changed = set(await self._sources.tend(now, wanted=wanted))
        holdings = self._engine.holdings()
        self._given &= holdings.keys()
        expected = {item.torrent.info_hash for item in held if item.torrent is not None and self._sources.expects(item)}
        for info_hash in holdings.keys() & (changed | (expected - self._given)):
            self._engine.use_web_seeds(info_hash, self._sources.live(info_hash))
            self._given.add(info_hash)
        try:
            await self._ledger.remember_mirrors(self._sources.changed())
        except LedgerError as error:
            log.warning("sources.not_kept", reason=str(error))

    async def _learn(self, held: Iterable[Item], now: datetime) -> None:
        """Read a few .torrent files, so that the sources know what the right bytes are."""
        batch = list(islice((item for item in held if self._is_unknown(item, now)), LEARNT_PER_RUN))
        while len(batch) < LEARNT_PER_RUN and self._noticed:
            item = self._noticed.popitem(last=False)[1]
            if self._is_unknown(item, now):
                batch.append(item)
        if not batch:
            return
        read = await self._metainfos.read(batch, now)
        for item in batch:
            assert item.torrent is not None
            metainfo = read.get(item.torrent.info_hash)
            if metainfo is None or isinstance(metainfo, str):
                continue
            try:
                self._sources.expect(item, metainfo)
            except SmartnodeError as error:
                self._failed.add(item.torrent.info_hash)
                log.warning("sources.not_expected", info_hash=item.torrent.info_hash, reason=str(error))

    def _is_unknown(self, item: Item, now: datetime) -> bool:
        torrent = item.torrent
        if torrent is None or torrent.info_hash in self._failed or self._sources.expects(item):
            return False
        return self._backoff.waiting(torrent.info_hash, now) is None
