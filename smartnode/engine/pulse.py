"""Once a second: one bulk question for every torrent's state, and whatever got stuck is tried again, ever more rarely.

A web seed that answered an error is dead to libtorrent for the session: it is taken out and put in again, after 30 s,
then 60 s, up to an hour; one that sent a wrong byte stays banned until the next start. A torrent that met a disk error
is set going again after 30 s. The DHT is told of our torrents as soon as it has nodes to tell.
"""

import asyncio
from collections.abc import Mapping

import libtorrent as lt
import structlog

from smartnode.domain.identity import InfoHash
from smartnode.engine.events import DhtSize, MirrorFailed
from smartnode.engine.live import Live
from smartnode.engine.torrents import Torrent

BEAT_S = 1.0
RETRY_AFTER_S = 30.0
MIRROR_RETRY_S = 30.0
MIRROR_RETRY_MAX_S = 3600.0
BOOTSTRAP_EVERY_S = 3.0
ANNOUNCE_BELOW_NODES = 16
ANNOUNCE_AT_MOST = 200

log = structlog.get_logger(__name__)


class Pulse:
    """The engine's only clock."""

    def __init__(
        self, live: Live, torrents: Mapping[InfoHash, Torrent], *, dht: bool, bootstrap: tuple[tuple[str, int], ...]
    ) -> None:
        """Watch over *torrents* of *live*; the DHT starts from *bootstrap*."""
        self._live = live
        self._torrents = torrents
        self._dht = dht
        self._bootstrap = bootstrap
        self._bootstrap_at = 0.0
        self._mirrors: dict[tuple[InfoHash, str], tuple[float, int]] = {}
        self.dht_nodes = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat(asyncio.get_running_loop().time())
            await asyncio.sleep(BEAT_S)

    def took(self, event: DhtSize) -> None:
        """Announce again while a small DHT grows: what was told to fewer nodes may not be found."""
        grew, self.dht_nodes = event.nodes > self.dht_nodes, event.nodes
        if grew and event.nodes <= ANNOUNCE_BELOW_NODES:
            for torrent in list(self._torrents.values())[:ANNOUNCE_AT_MOST]:
                self.announce(torrent)

    def announce(self, torrent: Torrent) -> None:
        """Tell the DHT of one torrent; private torrents (BEP 27) are never told."""
        if self._dht and self.dht_nodes and torrent.handle is not None and not torrent.metainfo.private:
            torrent.handle.force_dht_announce()

    def gave_up(self, event: MirrorFailed, now: float) -> None:
        """Plan when a web seed that failed is tried again; a banned one is not."""
        key = (event.info_hash, event.url)
        if event.banned:
            self._mirrors.pop(key, None)
            return
        tries = self._mirrors[key][1] + 1 if key in self._mirrors else 0
        wait = min(MIRROR_RETRY_S * 2 ** min(tries, 10), MIRROR_RETRY_MAX_S)
        self._mirrors[key] = (now + wait, tries)

    def _beat(self, now: float) -> None:
        self._live.post_updates()
        if self._dht:
            self._live.session.post_session_stats()
            if not self.dht_nodes and now >= self._bootstrap_at:
                self._bootstrap_at = now + BOOTSTRAP_EVERY_S
                for node in self._bootstrap:
                    self._live.session.add_dht_node(node)
        for torrent in self._torrents.values():
            if (torrent.failure is not None or torrent.stuck) and now >= torrent.failed_at + RETRY_AFTER_S:
                self._retry(torrent, now)
        for key, (due, tries) in list(self._mirrors.items()):
            if now >= due:
                self._revive(*key)
                self._mirrors[key] = (float("inf"), tries)

    def _retry(self, torrent: Torrent, now: float) -> None:
        if torrent.handle is None or torrent.lock.locked():
            return
        torrent.failure, torrent.failed_at = None, now
        torrent.handle.clear_error()
        torrent.handle.unset_flags(lt.torrent_flags.upload_mode)
        torrent.handle.resume()
        log.info("engine.retried", info_hash=torrent.info_hash)

    def _revive(self, info_hash: InfoHash, url: str) -> None:
        torrent = self._torrents.get(info_hash)
        if torrent is not None and torrent.handle is not None and (torrent.wanted - torrent.have).count():
            torrent.handle.remove_url_seed(url)
            torrent.handle.add_url_seed(url)
