"""Once a second: one bulk question for every torrent's state, and whatever got stuck is tried again, ever more rarely.

A torrent that met a disk error is set going again after 30 s. What waits to be announced is let through, and the DHT is
told of our torrents as soon as it has nodes to tell.
"""

import asyncio
from collections.abc import Mapping
from itertools import islice

import libtorrent as lt
import structlog

from smartnode.domain.identity import InfoHash
from smartnode.engine.announcing import Announcing
from smartnode.engine.events import DhtSize
from smartnode.engine.live import Live
from smartnode.engine.torrents import Torrent

BEAT_S = 1.0
RETRY_AFTER_S = 30.0
BOOTSTRAP_EVERY_S = 3.0
ANNOUNCE_BELOW_NODES = 16
ANNOUNCE_AT_MOST = 200

log = structlog.get_logger(__name__)


class Pulse:
    """The engine's only clock."""

    def __init__(
        self,
        live: Live,
        torrents: Mapping[InfoHash, Torrent],
        announcing: Announcing,
        *,
        dht: bool,
        bootstrap: tuple[tuple[str, int], ...],
    ) -> None:
        """Watch over *torrents* of *live*; the DHT starts from *bootstrap*."""
        self._live = live
        self._announcing = announcing
        self._torrents = torrents
        self._dht = dht
        self._bootstrap = bootstrap
        self._bootstrap_at = 0.0
        self.dht_nodes = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat(asyncio.get_running_loop().time())
            await asyncio.sleep(BEAT_S)

    def took(self, event: DhtSize) -> None:
        """Announce again while a small DHT grows: what was told to fewer nodes may not be found."""
        before, self.dht_nodes = self.dht_nodes, event.nodes
        if event.nodes > before and (event.nodes <= ANNOUNCE_BELOW_NODES or not before):
            for torrent in islice(self._torrents.values(), ANNOUNCE_AT_MOST if before else None):
                self._announcing.tell_dht(torrent)

    def _beat(self, now: float) -> None:
        self._live.post_updates()
        self._announcing.beat(now)
        if self._dht:
            self._live.session.post_session_stats()
            if not self.dht_nodes and now >= self._bootstrap_at:
                self._bootstrap_at = now + BOOTSTRAP_EVERY_S
                for node in self._bootstrap:
                    self._live.session.add_dht_node(node)
        for torrent in self._torrents.values():
            if (torrent.failure is not None or torrent.stuck) and now >= torrent.failed_at + RETRY_AFTER_S:
                self._retry(torrent, now)

    def _retry(self, torrent: Torrent, now: float) -> None:
        if torrent.handle is None or torrent.lock.locked():
            return
        torrent.failure, torrent.failed_at = None, now
        torrent.handle.clear_error()
        torrent.handle.unset_flags(lt.torrent_flags.upload_mode)
        torrent.handle.resume()
        log.info("engine.retried", info_hash=torrent.info_hash)
