"""The book follows the session's reports: what is held, what failed, and the errands that follow from it.

An errand is work that nobody waits for (a move, a repair) or that must not be cut in half (an eviction); stop waits for
all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import libtorrent as lt
import structlog

from smartnode.domain.identity import InfoHash
from smartnode.engine.announcing import Announcing
from smartnode.engine.events import (
    AlertsLost,
    Closed,
    DhtSize,
    DhtWork,
    Event,
    Failed,
    Finished,
    GivenUp,
    ListenFailed,
    PeersFound,
    States,
    TrackerAnswered,
    TrackerAsked,
    TrackerFailed,
)
from smartnode.engine.keeping import Keeper
from smartnode.engine.live import Live
from smartnode.engine.lookups import Lookups
from smartnode.engine.mirrors import Mirrors
from smartnode.engine.pulse import Pulse
from smartnode.engine.torrents import Torrent
from smartnode.errors import SmartnodeError

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Errands:
    """Work that runs to its end whatever becomes of its caller."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._tasks: set[asyncio.Task[Any]] = set()

    def send(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start *work*."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what *work* returns; it goes on when the caller is cancelled."""
        return await asyncio.shield(self.send(work))

    async def done(self) -> None:
        """Wait until nothing runs; results and errors belong to whoever sent the work."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def locked(torrent: Torrent, work: Callable[[], Awaitable[T]]) -> T:
    """Return what *work* returns, run while nothing else works on *torrent*."""
    async with torrent.lock:
        return await work()


class Book:
    """Takes over every event of the session, in order."""

    def __init__(
        self,
        torrents: dict[InfoHash, Torrent],
        *,
        live: Live,
        keeper: Keeper,
        pulse: Pulse,
        announcing: Announcing,
        mirrors: Mirrors,
        lookups: Lookups,
        errands: Errands,
    ) -> None:
        """Keep *torrents* up to date; moves and repairs are done by *keeper*, as *errands*."""
        self._torrents = torrents
        self._live = live
        self._keeper = keeper
        self._pulse = pulse
        self._announcing = announcing
        self._mirrors = mirrors
        self._lookups = lookups
        self._errands = errands
        self.running = False
        self.still = False
        """The disk is not there: what cannot be read now is not lost."""

    def take(self, event: Event) -> None:
        """Take over one event; never waits."""
        now = asyncio.get_running_loop().time()
        match event:
            case States():
                self._progressed(event)
            case Finished():
                self._live.post_updates()
            case Failed():
                self._failed(event, now)
            case GivenUp() | Closed():
                self._mirrored(event, now)
            case TrackerAsked() | TrackerAnswered() | TrackerFailed():
                self._announcing.took(event, now)
            case DhtSize():
                self._pulse.took(event)
            case PeersFound() | DhtWork():
                self._lookups.took(event)
            case ListenFailed():
                log.warning("engine.listen_failed", reason=event.text)
            case AlertsLost():
                log.warning("engine.alerts_lost")
                self._ask_again()
            case _:
                pass

    def _mirrored(self, event: GivenUp | Closed, now: float) -> None:
        if isinstance(event, GivenUp):
            self._mirrors.gave_up(event)
        elif self._mirrors.knows(event) and self.running and not self.still:
            self._errands.send(self._mirrors.closed(event, now))

    def _progressed(self, event: States) -> None:
        for progress in event.changed:
            torrent = self._torrents.get(progress.info_hash)
            if torrent is not None and torrent.handle is not None:
                torrent.take(progress)
                self._look_after(torrent)

    def _ask_again(self) -> None:
        for torrent in self._torrents.values():
            if torrent.handle is not None:
                torrent.handle.post_status(lt.torrent_handle.query_pieces)

    def _look_after(self, torrent: Torrent) -> None:
        if not self.running:
            return
        if torrent.complete and not torrent.whole and not torrent.unmovable:
            torrent.unmovable = True  # one try per start; cleared when it worked
            self._errands.send(self._settle(torrent))
        elif torrent.unsaved and not (torrent.wanted - torrent.have).count() and not torrent.lock.locked():
            self._errands.send(self._save(torrent))

    def _failed(self, event: Failed, now: float) -> None:
        torrent = self._torrents.get(event.info_hash)
        if torrent is None:
            return
        fresh = torrent.failure is None
        torrent.failure, torrent.failed_at = event.text, now
        if fresh:
            log.warning("engine.torrent_failed", info_hash=event.info_hash, reason=event.text, lost=event.lost)
            if event.lost and self.running and not self.still:
                self._errands.send(self._repair(torrent))

    async def _settle(self, torrent: Torrent) -> None:
        try:
            async with torrent.lock:
                if torrent.complete and torrent.handle is not None:
                    await self._keeper.settle(torrent)
                    torrent.unmovable = False
        except SmartnodeError as error:
            log.warning("engine.not_moved", info_hash=torrent.info_hash, reason=str(error))

    async def _save(self, torrent: Torrent) -> None:
        try:
            async with torrent.lock:
                if torrent.unsaved and torrent.handle is not None:
                    await self._keeper.save(torrent)
        except SmartnodeError as error:
            log.warning("engine.not_saved", info_hash=torrent.info_hash, reason=str(error))

    async def _repair(self, torrent: Torrent) -> None:
        try:
            lost = await locked(torrent, lambda: self._keeper.repair(torrent))
        except SmartnodeError as error:
            log.warning("engine.not_repaired", info_hash=torrent.info_hash, reason=str(error))
        else:
            log.warning("engine.pieces_lost", info_hash=torrent.info_hash, pieces=lost.count())
