"""The node: rooms built in one order and stopped in exactly the reverse, and the schedule that walks the path.

Nothing here decides; it wires. One lock keeps cycles from overlapping; a cycle that fails leaves the node serving.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import structlog

from smartnode import __version__
from smartnode.api.app import make_app
from smartnode.api.server import Server
from smartnode.catalogue.catalogue import Catalogue
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings
from smartnode.cycle.candidates import by_info_hash
from smartnode.cycle.guard import Watchman
from smartnode.cycle.outcome import Outcome
from smartnode.cycle.rooms import Rooms, measure
from smartnode.daemon.board import NodeBoard, Seen
from smartnode.daemon.ear import Ear
from smartnode.daemon.outlook import by_torrent, dht_degraded, join, trackers_degraded
from smartnode.daemon.rooms import (
    NO_LIMIT,
    carries_dht,
    catalogue_of,
    client_name,
    clock_of,
    cycle_of,
    disk_of,
    engine_of,
    eyes_of,
    identity_of,
    ledger_of,
    retune,
    sources_of,
    trackers_of,
)
from smartnode.daemon.schedule import Errand, Schedule
from smartnode.disk.room import Disk
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash
from smartnode.domain.quota import Room
from smartnode.engine.session import Engine
from smartnode.errors import CatalogueError, SmartnodeError
from smartnode.sources.mirrors import Mirrors
from smartnode.swarm.observer import Observer
from smartnode.swarm.trackers import Trackers

WATCH_EVERY = timedelta(seconds=2)
SAVE_EVERY = timedelta(seconds=30)
MIRROR_EVERY = timedelta(seconds=2)
WITNESS_EVERY_MIN = timedelta(seconds=1)
ASK_AGAIN = timedelta(seconds=5)
STOP_DEADLINE_S = 9.0

log = structlog.get_logger(__name__)


class Node:
    """One running node."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        """Prepare to run with *settings* in *paths*; nothing is opened yet."""
        self._settings = settings
        self._paths = paths
        self._exit = AsyncExitStack()
        self._walking = asyncio.Lock()
        self._outcome: Outcome | None = None
        self._slice = 0
        self._refused = 0
        self._failure: str | None = None
        self._items_of: Snapshot | None = None
        self._items: dict[InfoHash, Item] = {}

    async def start(self) -> None:
        """Open every room; on an error what was opened is closed again and the error goes on."""
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every room in the reverse order of the start."""
        await self._exit.aclose()

    async def _open(self) -> None:
        settings, paths, leave = self._settings, self._paths, self._exit
        now = datetime.now(UTC)
        self._disk: Disk = disk_of(settings, paths)
        await asyncio.to_thread(self._disk.prepare)
        leave.callback(self._disk.release)
        self._ledger = ledger_of(paths)
        await self._ledger.open()
        leave.push_async_callback(self._ledger.close)
        node_id = await self._ledger.node_id()
        self._ear = Ear(self._ledger)
        await self._ear.listen()
        clock = clock_of(settings)
        self._catalogue: Catalogue = catalogue_of(settings, paths, clock=clock)
        self._started_at = now
        self._sources: Mirrors = sources_of(settings)
        leave.push_async_callback(self._sources.close)
        self._trackers: Trackers = trackers_of(settings)
        self._engine: Engine = engine_of(settings, paths, node_id=node_id, places=self._disk.places, puncher=self._disk)
        self._engine.on_mirror_failed = lambda failure: self._sources.failed(failure, datetime.now(UTC))
        await self._engine.start()
        leave.push_async_callback(self._engine.stop)
        await self._catalogue.load(held=self._in_view(), slice_number=0)
        self._observer = Observer(self._engine, eyes_of(settings, node_id), self._trackers)
        rooms = Rooms(
            catalogue=self._catalogue,
            engine=self._engine,
            swarm=self._observer,
            trackers=self._trackers,
            sources=self._sources,
            disk=self._disk,
            ledger=self._ledger,
            clock=clock,
        )
        self._rooms = rooms
        self._cycle = cycle_of(settings, rooms, node_id)
        await self._cycle.start()
        self._watchman = Watchman(self._walk_afresh)
        self._board = NodeBoard(identity_of(settings, node_id), self._ledger, now=now)
        await self._publish()
        host = settings.api.host
        server = Server(
            make_app(self._board, hosts=(host, "localhost", "127.0.0.1", "[::1]")), host=host, port=settings.api.port
        )
        leave.push_async_callback(server.stop)  # before the start: half a start is closed too
        await server.start()
        self._start_schedule()
        log.info(
            "node.started",
            version=__version__,
            node_id=node_id.hex(),
            client=client_name(settings),
            listen_port=self._engine.listen_port,
            api_port=server.port,
            held=len(self._engine.holdings()),
        )

    def _start_schedule(self) -> None:
        settings, now = self._settings, datetime.now(UTC)
        cycle, quiet, soon = settings.cycle.interval, settings.protocol.quiet_window, now + timedelta(seconds=1)
        self._schedule = Schedule()
        self._schedule.start(
            (
                Errand(name="refresh", work=self.refresh, every=settings.catalogue.refresh, first=now, spread=True),
                Errand(name="cycle", work=self.walk, every=cycle, first=soon, spread=True),
                Errand(name="witness", work=self._witness, every=max(WITNESS_EVERY_MIN, quiet / 40), spread=True),
                Errand(name="count", work=self._count, every=cycle, first=soon, spread=True),
                Errand(name="mirrors", work=self._mirror, every=min(MIRROR_EVERY, cycle)),
                Errand(name="save", work=self._save, every=min(SAVE_EVERY, cycle)),
                Errand(name="watch", work=self._watch, every=min(WATCH_EVERY, cycle)),
            )
        )
        self._exit.push_async_callback(self._schedule.stop, within_s=STOP_DEADLINE_S / 3)

    def _walk_afresh(self) -> None:
        """Something has to be done at once: the walk under way ends soon, and is followed by one more."""
        self._cycle.hurry()
        self.wake()

    def wake(self) -> None:
        """Walk the path now, outside the schedule; a walk under way is followed by one more."""
        self._schedule.now("cycle now", self.walk)

    async def walk(self) -> None:
        """Walk the path once; never two at a time. Whatever goes wrong costs this cycle only."""
        async with self._walking:
            try:
                self._outcome = await self._cycle.run(datetime.now(UTC))
                self._failure = None
            except SmartnodeError as error:
                self._failure = f"{error.room}: {error}"
                log.warning("cycle.failed", reason=str(error), room=error.room)
            except Exception:
                self._failure = "cycle: an internal error, see the log; please report it"
                log.exception("cycle.failed")
            # What was started needs web seeds now, not in a while.
            self._schedule.now("mirrors", self._mirror)
            await self._publish(walk=True)

    async def _witness(self) -> None:
        """Look at what is held while the epoch is quiet, however seldom cycles come."""
        async with self._walking:
            await self._cycle.witness(datetime.now(UTC))

    async def refresh(self) -> None:
        """Ask the catalogue's source again; the next slice of a large catalogue comes into view."""
        self._slice += 1
        before = self._catalogue.current()
        try:
            after = await self._catalogue.refresh(now=datetime.now(UTC), held=self._in_view(), slice_number=self._slice)
        except CatalogueError as error:
            log.warning("catalogue.refused", reason=str(error))
            self._ask_again_soon()
            return
        if self._catalogue.degraded():
            self._ask_again_soon()
        else:
            self._refused = 0
        if before is None:
            self.wake()
        log.info("catalogue.read", items=after.good, with_torrent=after.with_torrent, rejected=after.rejected_total)

    def _ask_again_soon(self) -> None:
        """A source that failed is asked again after 5 s, then 10 s, ... at most after a cycle, give or take a quarter
        so that many nodes do not come at once; never before the time that the source itself names.
        """
        usual = min(self._settings.catalogue.refresh, self._settings.cycle.interval)
        wait = min(usual, ASK_AGAIN * 2 ** min(self._refused, 20)) * random.uniform(0.75, 1.25)  # noqa: S311 -- spreads load
        wait = max(wait, self._catalogue.retry_after() or wait)
        self._refused += 1
        self._schedule.soon("refresh", wait)

    def _in_view(self) -> frozenset[InfoHash]:
        """Return the torrents that always come along from a large catalogue: what is held, and what is pinned."""
        return self._ear.pinned.union(self._engine.holdings())

    async def _count(self) -> None:
        """Ask the trackers for their counts of the catalogue's swarms."""
        if self._catalogue.current() is not None:
            await self._cycle.counting.run(self._by_info_hash(), datetime.now(UTC))

    async def _mirror(self) -> None:
        """Look at the web seeds that are due, and tell the engine what it may use."""
        await self._cycle.mirroring.run(self._by_info_hash(), datetime.now(UTC))

    def _by_info_hash(self) -> dict[InfoHash, Item]:
        """Return the items of the catalogue in use; none before the first was accepted."""
        snapshot = self._catalogue.current()
        if snapshot is not None and snapshot is not self._items_of:
            self._items_of, self._items = snapshot, by_info_hash(snapshot.items)
        return self._items

    async def _save(self) -> None:
        try:
            await self._engine.save()
        except SmartnodeError as error:
            log.warning("resume.not_saved", reason=str(error))

    async def _watch(self) -> None:
        if await self._ear.listen():
            self._walk_afresh()
        room = await self._publish()
        if room is not None:
            self._watchman.saw(room, datetime.now(UTC))

    async def _publish(self, *, walk: bool = False) -> Room | None:
        """Publish what the rooms say now; returns the measured room. *walk*: count all blocks again."""
        now = datetime.now(UTC)
        room, why = await measure(self._rooms, walk=walk)
        outcome = self._outcome
        reasons = [*why, *(outcome.degraded if outcome else ()), *self._catalogue.degraded()]
        trackers = join(self._engine.trackers(), self._trackers.health())
        reasons += [*trackers_degraded(trackers), *self._dht_degraded(now), *self._sources.degraded(now)]
        reasons += [self._failure] if self._failure is not None else []
        self._board.publish(
            Seen(
                at=now,
                cycle=self._cycle.number,
                listen_port=self._engine.listen_port,
                snapshot=self._catalogue.current(),
                holdings=self._engine.holdings(),
                views=self._cycle.views,
                mirrors=by_torrent(self._sources.all()),
                trackers=trackers,
                room=room,
                outcome=outcome,
                degraded=tuple(dict.fromkeys(reasons)),
                wishes=self._ear.wishes,
            )
        )
        return room

    def _dht_degraded(self, now: datetime) -> list[str]:
        network, nodes, up = self._settings.network, self._engine.dht_nodes, now - self._started_at
        enabled = network.dht and carries_dht(self._settings)
        return dht_degraded(enabled=enabled, nodes=nodes, up=up, proxied=network.proxy is not None)

    async def reload(self, settings: Settings) -> None:
        """Take over what can change at run time, then walk the path with it at once."""
        self._settings = settings
        self._disk.set_limits(quota=settings.require_storage(), keep_free=settings.storage.keep_free)
        self._engine.set_limits(
            upload=settings.bandwidth.upload or NO_LIMIT, download=settings.bandwidth.download or NO_LIMIT
        )
        retune(self._cycle, settings)
        self._observer.memory = settings.cycle.t_mem
        self._schedule.change("refresh", settings.catalogue.refresh)
        self._schedule.change("cycle", settings.cycle.interval)
        self._schedule.change("count", settings.cycle.interval)
        self.wake()
