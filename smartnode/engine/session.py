"""The engine: the only owner of a libtorrent session; it holds exactly the pieces it was told to want, serves them, and
lets go of them.

Everything runs on one asyncio loop. What is held and wanted is read from a book that the session's own reports keep
(one bulk question a second), so reading costs nothing. Several engines may live in one process: nothing is global.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import structlog

from smartnode.domain.catalogue import Item
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import MirrorFailure
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.proof import Block
from smartnode.domain.swarm import Address, Holder
from smartnode.domain.tracker import TrackerHealth
from smartnode.engine.announcing import Announcing
from smartnode.engine.book import Book, Errands, locked
from smartnode.engine.keeping import Keeper
from smartnode.engine.live import Live
from smartnode.engine.lookups import Lookups
from smartnode.engine.mirrors import Mirrors, unheard
from smartnode.engine.needs import Places, Puncher
from smartnode.engine.pacing import Turn
from smartnode.engine.peers import connected
from smartnode.engine.pulse import Pulse
from smartnode.engine.resume_store import ResumeStore
from smartnode.engine.saving import save_all
from smartnode.engine.settings import EngineSettings, bootstrap, carries_udp, limits
from smartnode.engine.starting import new_torrent, start_all
from smartnode.engine.torrents import Torrent, require_fit
from smartnode.errors import EngineError
from smartnode.metainfo.addresses import trackers_for
from smartnode.metainfo.read import Metainfo

STOP_WITHIN_S = 6.0  # for saving; the session's own end takes a second or two more

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Engine:
    """The torrents of one node. Every coroutine and property belongs to the loop that called start."""

    def __init__(self, settings: EngineSettings, *, places: Places, puncher: Puncher) -> None:
        """Prepare; nothing is opened before start."""
        self._settings = settings
        self._places = places
        self._store = ResumeStore(settings.state_dir)
        self._torrents: dict[InfoHash, Torrent] = {}
        self._live = Live(settings)
        self._keeper = Keeper(self._live, self._store, places, puncher, added=self._added)
        self._announcing = Announcing(
            self._torrents,
            per_s=settings.announces_per_s,
            udp=carries_udp(settings),
            random=random.Random(),  # noqa: S311 -- it spreads announces
        )
        self._mirrors = Mirrors(
            self._torrents,
            lambda failure: self.on_mirror_failed(failure),  # noqa: PLW0108 -- it is set later
            look_up=settings.proxy is None,
        )
        dht = settings.dht and carries_udp(settings)
        self._pulse = Pulse(self._live, self._torrents, self._announcing, dht=dht, bootstrap=bootstrap(settings))
        self._lookups = Lookups(self._live)
        self._errands = Errands()
        self._book = Book(
            self._torrents,
            live=self._live,
            keeper=self._keeper,
            pulse=self._pulse,
            announcing=self._announcing,
            mirrors=self._mirrors,
            lookups=self._lookups,
            errands=self._errands,
        )
        self._beating: asyncio.Task[None] | None = None
        self.on_mirror_failed: Callable[[MirrorFailure], None] = unheard
        """Told, on the loop, of every web seed that failed; it is used again once use_web_seeds names it again."""

    async def start(self) -> None:
        """Listen, then add every torrent of the resume files; EngineError when nothing can be listened on."""
        clean = await asyncio.to_thread(self._store.open)
        await self._live.open(self._book.take)
        try:
            await start_all(
                self._torrents, self._keeper, self._store, self._places, clean=clean, settings=self._settings
            )
        except BaseException:
            await self._live.close()
            raise
        self._book.running = True
        self._beating = asyncio.create_task(self._pulse.run())
        log.info("engine.started", torrents=len(self._torrents), port=self.listen_port, clean=clean)

    async def stop(self) -> None:
        """Save everything and end the session, within 8 s; what could not be saved is fetched or checked again."""
        if self._beating is None:
            return
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        self._beating = None
        self._book.running = False
        self._lookups.cancel()
        saved = False
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._errands.done()
                self._announcing.fall_silent(self._live.pause)
                saved = await save_all(self._torrents.values(), self._keeper.save_counters)
        if saved:
            await asyncio.to_thread(self._store.mark_clean)
        await self._live.close()
        self._torrents.clear()
        log.info("engine.stopped", saved=saved)

    async def save(self) -> None:
        """Write the resume file of every torrent that holds or wants something else than its file says."""
        await save_all([t for t in self._torrents.values() if t.unsaved], self._keeper.save)

    @property
    def listen_port(self) -> int:
        """The TCP port that peers reach us on."""
        return int(self._live.session.listen_port())

    @property
    def dht_nodes(self) -> int:
        """Nodes in the DHT's routing table, as of the last second."""
        return self._pulse.dht_nodes

    def add_dht_node(self, host: str, port: int) -> None:
        """Tell the DHT of a node."""
        self._live.session.add_dht_node((host, port))

    def set_limits(self, *, upload: Bytes, download: Bytes) -> None:
        """Set the global limits in bytes per second, 0 = none; they take effect within a second."""
        chosen: Any = limits(upload=upload, download=download)
        self._live.session.apply_settings(chosen)

    def holdings(self) -> dict[InfoHash, Holding]:
        """Return what is held and wanted, one value per torrent, at most about a second old (never too much held)."""
        return {info_hash: torrent.holding() for info_hash, torrent in self._torrents.items()}

    async def want(self, item: Item, metainfo: Metainfo, wanted: Bitfield) -> None:
        """Add the torrent with *wanted* as its target, or make it the target when it is there already.

        EngineError when *wanted* is not of this torrent, or libtorrent refuses it.
        """
        require_fit(wanted, count=metainfo.layout.num_pieces)
        known = self._torrents.get(metainfo.info_hash)
        if known is not None:
            await self.remap(metainfo.info_hash, wanted)
        elif wanted.count():
            await self._errands.finish(self._add(item, metainfo, wanted))

    async def adopt(self, item: Item, metainfo: Metainfo) -> None:
        """Take up a torrent whose files lie in its place and whose resume file is lost: what has the right hash is held
        again, nothing is fetched. A torrent that the engine already has is left as it is.
        """
        if metainfo.info_hash not in self._torrents:
            await self._errands.finish(self._add(item, metainfo, Bitfield.empty(metainfo.layout.num_pieces)))

    def stand_still(self, *, still: bool) -> None:
        """Stop all traffic and all writing while the disk is not there, or go on; held pieces stay held."""
        if still != self._book.still:
            self._book.still = still
            if still:
                self._announcing.fall_silent(self._live.pause)
            else:
                self._live.resume()
                self._announcing.come_back(asyncio.get_running_loop().time())
            log.warning("engine.stands_still", still=still)

    async def remap(self, info_hash: InfoHash, wanted: Bitfield) -> None:
        """Make *wanted* the target of a torrent that the engine already has; pieces held stay held."""
        torrent = self._known(info_hash)
        require_fit(wanted, count=torrent.wanted.length)
        if wanted == torrent.wanted:
            return
        await self._errands.finish(self._change(torrent, lambda: self._keeper.remap(torrent, wanted)))

    async def evict(self, info_hash: InfoHash, pieces: Bitfield, *, before: float | None = None) -> Bytes:
        """Let go of *pieces* durably and give their blocks back; returns the bytes of the pieces that were held.

        *before*: a time.monotonic() until which that is permitted, looked at right before the pieces stop being held;
        past it EngineError, and all of them stay.
        """
        torrent = self._known(info_hash)
        return await self._errands.finish(
            self._change(torrent, lambda: self._keeper.evict(torrent, pieces, before=before))
        )

    async def read(self, info_hash: InfoHash, blocks: Sequence[Block]) -> list[bytes]:
        """Return the bytes of each of *blocks*, in order, as the files have them, past the session; EngineError when
        one of their pieces is not held, or no longer in its file.
        """
        torrent = self._known(info_hash)
        return await self._errands.finish(locked(torrent, lambda: self._keeper.read(torrent, blocks)))

    async def connected(self, info_hash: InfoHash, now: datetime) -> tuple[Holder, ...]:
        """Return the connected peers with their bitfields; none when the torrent is not held."""
        torrent = self._torrents.get(info_hash)
        return () if torrent is None else await connected(torrent, self._settings, now)

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Ask the DHT (BEP 5) for peers; None when it is off or did not answer in time: unknown, not none."""
        asked = self._pulse.dht_nodes and not self.is_private(info_hash)
        return await self._lookups.find(info_hash) if asked else None

    def use_web_seeds(self, info_hash: InfoHash, urls: Collection[str]) -> None:
        """Use exactly these web seeds (BEP 19, percent-encoded) for a held torrent, until it is told otherwise; one
        that failed and is named again is used again. Nothing happens for a torrent that is not held.
        """
        torrent = self._torrents.get(info_hash)
        if torrent is not None:
            self._mirrors.use(torrent, urls)

    def use_trackers(self, item: Item) -> None:
        """Announce a held torrent to its own trackers and to those that *item* names now; nothing happens when these
        are the ones that it has, or when it is not held.
        """
        torrent = None if item.torrent is None else self._torrents.get(item.torrent.info_hash)
        if torrent is not None:
            named = trackers_for(item, torrent.metainfo, allow_private=self._settings.allow_private)
            self._announcing.rename(torrent, tuple(named), asyncio.get_running_loop().time())

    def trackers(self) -> tuple[TrackerHealth, ...]:
        """Return how each tracker listens, at most a few seconds old."""
        return self._announcing.health()

    def tracker_answers(self, url: str) -> None:
        """Take note that a tracker answers: torrents that wait for it announce again, paced."""
        self._announcing.answers(url, asyncio.get_running_loop().time())

    def is_private(self, info_hash: InfoHash) -> bool:
        """Say whether a held torrent is private (BEP 27): only its own trackers may be asked about it."""
        torrent = self._torrents.get(info_hash)
        return torrent is not None and torrent.metainfo.private

    async def introduce(self, info_hash: InfoHash, addresses: Iterable[Address]) -> None:
        """Tell a held torrent of peers that were seen elsewhere; an address that libtorrent refuses is left out."""
        torrent = self._torrents.get(info_hash)
        if torrent is not None and torrent.handle is not None:
            for address in addresses:
                with suppress(RuntimeError, ValueError):
                    torrent.handle.connect_peer((address.host, address.port))

    async def _add(self, item: Item, metainfo: Metainfo, wanted: Bitfield) -> None:
        torrent, params = await new_torrent(item, metainfo, self._places, settings=self._settings)
        torrent.wanted = wanted
        self._torrents[metainfo.info_hash] = torrent
        try:
            async with torrent.lock:
                await self._keeper.begin(torrent, params)
        except BaseException:
            del self._torrents[metainfo.info_hash]
            raise

    async def _change(self, torrent: Torrent, work: Callable[[], Awaitable[T]]) -> T:
        """Return what *work* returns; a torrent of which nothing is left is forgotten."""
        try:
            return await locked(torrent, work)
        finally:
            if not torrent.have.count() and not torrent.wanted.count() and torrent.handle is None:
                self._torrents.pop(torrent.info_hash, None)
                self._mirrors.forget(torrent.info_hash)

    def _added(self, torrent: Torrent) -> None:
        now = asyncio.get_running_loop().time()
        self._announcing.join(torrent, now, Turn.FRESH if self._book.running else Turn.START)

    def _known(self, info_hash: InfoHash) -> Torrent:
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            message = f"the torrent {info_hash} is not held"
            raise EngineError(message, cure="the next cycle sees what is held")
        return torrent
