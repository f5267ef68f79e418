"""The node: rooms built in one order and stopped in exactly the reverse, and the schedule that walks the path.

Nothing here decides; it wires. One lock keeps cycles from overlapping; a cycle that fails leaves the node serving.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from smartnode import __version__
from smartnode.api.app import make_app
from smartnode.api.server import Server
from smartnode.catalogue.catalogue import Catalogue
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings
from smartnode.cycle.guard import Watchman
from smartnode.cycle.run import Cycle, Outcome, Rooms, measure
from smartnode.daemon.board import Identity, NodeBoard, Seen
from smartnode.daemon.rooms import (
    NO_LIMIT,
    catalogue_of,
    client_name,
    disk_of,
    engine_of,
    eyes_of,
    ledger_of,
    policy_of,
)
from smartnode.disk.room import Disk
from smartnode.domain.quota import Room
from smartnode.engine.session import Engine
from smartnode.errors import CatalogueError, SmartnodeError
from smartnode.swarm.observer import Observer

JITTER = 0.1
WATCH_EVERY = timedelta(seconds=2)
SAVE_EVERY = timedelta(seconds=30)
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
        self._errands: dict[str, asyncio.Task[object]] = {}
        self._outcome: Outcome | None = None
        self._slice = 0
        self._refused = 0
        self._again = False
        self._failure: str | None = None

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
        self._catalogue: Catalogue = catalogue_of(settings, paths)
        self._engine: Engine = engine_of(settings, paths, node_id=node_id, places=self._disk.places, puncher=self._disk)
        await self._engine.start()
        leave.push_async_callback(self._engine.stop)
        await self._catalogue.load(held=frozenset(self._engine.holdings()), slice_number=0)
        self._observer = Observer(self._engine, eyes_of(settings, node_id))
        rooms = Rooms(
            catalogue=self._catalogue,
            engine=self._engine,
            swarm=self._observer,
            disk=self._disk,
            ledger=self._ledger,
        )
        self._rooms = rooms
        self._cycle = Cycle(rooms, node_id=node_id, policy=policy_of(settings), probes=settings.cycle.probes)
        await self._cycle.start()
        self._watchman = Watchman(self._host_needs_disk)
        identity = Identity(
            version=__version__, name=settings.node.name, network_id=settings.network.id, node_id=node_id
        )
        self._board = NodeBoard(identity, self._ledger, now=now)
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
        cycle, catalogue = self._settings.cycle, self._settings.catalogue
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
        now = datetime.now(UTC)
        for work, name, every, first in (
            (self.refresh, "refresh", catalogue.refresh, now),
            (self.walk, "cycle", cycle.interval, now + timedelta(seconds=1)),
            (self._save, "save", min(SAVE_EVERY, cycle.interval), None),
            (self._watch, "watch", min(WATCH_EVERY, cycle.interval), None),
        ):
            seconds = every.total_seconds()
            jitter = seconds * JITTER if name in ("refresh", "cycle") else None
            start = {"next_run_time": first} if first is not None else {}
            self._scheduler.add_job(
                self._send,
                "interval",
                (name, work),
                id=name,
                seconds=seconds,
                jitter=jitter,
                misfire_grace_time=None,
                **start,
            )
        self._scheduler.start()
        self._exit.push_async_callback(self._stop_schedule)

    async def _stop_schedule(self) -> None:
        """Stop the clock, then let what is under way end; a cycle that will not end is cut off."""
        self._scheduler.shutdown(wait=False)
        errands = list(self._errands.values())
        for errand in errands:
            errand.cancel()
        if errands:
            _, late = await asyncio.wait(errands, timeout=STOP_DEADLINE_S / 3)
            if late:
                log.warning("cycle.cut_off", errands=len(late))

    def _host_needs_disk(self) -> None:
        self._cycle.hurry()
        self.wake()

    def wake(self) -> None:
        """Walk the path now, outside the schedule; a walk under way is followed by one more."""
        self._again = "cycle now" in self._errands
        self._begin("cycle now", self.walk)

    async def _send(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Begin *work* and return at once: the schedule never waits, and a tick that finds it under way is passed
        over.
        """
        self._begin(name, work)

    def _begin(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        if name in self._errands:
            return

        async def run() -> object:
            return await work()

        errand = asyncio.get_running_loop().create_task(run(), name=name)
        self._errands[name] = errand
        errand.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, errand: asyncio.Task[object]) -> None:
        del self._errands[name]
        if self._again and name == "cycle now" and not errand.cancelled():
            self.wake()
        if not errand.cancelled() and errand.exception() is not None:
            log.error("node.errand_failed", errand=name, exc_info=errand.exception())

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
            await self._publish(walk=True)

    async def refresh(self) -> None:
        """Ask the catalogue's source again; the next slice of a large catalogue comes into view."""
        self._slice += 1
        before = self._catalogue.current()
        try:
            after = await self._catalogue.refresh(
                now=datetime.now(UTC), held=frozenset(self._engine.holdings()), slice_number=self._slice
            )
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
        """A source that failed is asked again after 5 s, then 10 s, ... at most after the usual time."""
        wait = min(self._settings.catalogue.refresh, ASK_AGAIN * 2 ** min(self._refused, 20))
        self._refused += 1
        self._scheduler.modify_job("refresh", next_run_time=datetime.now(UTC) + wait)

    async def _save(self) -> None:
        try:
            await self._engine.save()
        except SmartnodeError as error:
            log.warning("resume.not_saved", reason=str(error))

    async def _watch(self) -> None:
        room = await self._publish()
        if room is not None:
            self._watchman.saw(room, datetime.now(UTC))

    async def _publish(self, *, walk: bool = False) -> Room | None:
        """Publish what the rooms say now; returns the measured room. *walk*: count all blocks again."""
        now = datetime.now(UTC)
        room, why = await measure(self._rooms, walk=walk)
        outcome = self._outcome
        reasons = [*why, *(outcome.degraded if outcome else self._catalogue.degraded())]
        if self._failure is not None:
            reasons.append(self._failure)
        self._board.publish(
            Seen(
                at=now,
                cycle=self._cycle.number,
                listen_port=self._engine.listen_port,
                snapshot=self._catalogue.current(),
                holdings=self._engine.holdings(),
                views=self._cycle.views,
                room=room,
                outcome=outcome,
                degraded=tuple(dict.fromkeys(reasons)),
            )
        )
        return room

    async def reload(self, settings: Settings) -> None:
        """Take over what can change at run time, then walk the path with it at once."""
        self._settings = settings
        self._disk.set_limits(quota=settings.require_storage(), keep_free=settings.storage.keep_free)
        self._engine.set_limits(
            upload=settings.bandwidth.upload or NO_LIMIT, download=settings.bandwidth.download or NO_LIMIT
        )
        self._cycle.policy = policy_of(settings)
        self._cycle.probes = settings.cycle.probes
        self._observer.memory = settings.cycle.t_mem
        for name, every in (("refresh", settings.catalogue.refresh), ("cycle", settings.cycle.interval)):
            seconds = every.total_seconds()
            self._scheduler.reschedule_job(name, trigger="interval", seconds=seconds, jitter=seconds * JITTER)
        self.wake()
