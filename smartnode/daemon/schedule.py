"""The schedule: each errand at its own pace, never two of one kind at a time, none that waits for another.

Errands that ask the world come with jitter, so that nodes which started together do not stay together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

JITTER = 0.1

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Work that comes again after *every*; *first*: when it comes first, None: after that time. *spread*: give or take
    a tenth.
    """

    name: str
    work: Work
    every: timedelta
    first: datetime | None = None
    spread: bool = False


class Schedule:
    """The errands of one node, on the running loop."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._clock = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
        self._under_way: dict[str, asyncio.Task[object]] = {}
        self._again: set[str] = set()

    def start(self, errands: Iterable[Errand]) -> None:
        """Begin to keep time."""
        for errand in errands:
            seconds = errand.every.total_seconds()
            first = {"next_run_time": errand.first} if errand.first is not None else {}
            self._clock.add_job(
                self._tick,
                "interval",
                (errand.name, errand.work),
                id=errand.name,
                seconds=seconds,
                jitter=seconds * JITTER if errand.spread else None,
                misfire_grace_time=None,
                **first,
            )
        self._clock.start()

    async def stop(self, *, within_s: float) -> None:
        """Stop the clock, then let what is under way end; what will not end is cut off."""
        self._clock.shutdown(wait=False)
        errands = list(self._under_way.values())
        for errand in errands:
            errand.cancel()
        if errands:
            _, late = await asyncio.wait(errands, timeout=within_s)
            if late:
                log.warning("cycle.cut_off", errands=len(late))

    def now(self, name: str, work: Work) -> None:
        """Run *work* at once, beside the clock; when it is under way it is followed by one more."""
        if name in self._under_way:
            self._again.add(name)
        self._begin(name, work)

    def soon(self, name: str, wait: timedelta) -> None:
        """Let the errand *name* come after *wait* the next time."""
        self._clock.modify_job(name, next_run_time=datetime.now(UTC) + wait)

    def change(self, name: str, every: timedelta) -> None:
        """Let the errand *name* come at another pace, give or take a tenth."""
        seconds = every.total_seconds()
        self._clock.reschedule_job(name, trigger="interval", seconds=seconds, jitter=seconds * JITTER)

    async def _tick(self, name: str, work: Work) -> None:
        """Begin *work* and return at once: the clock never waits, and passes over a tick that finds it under way."""
        self._begin(name, work)

    def _begin(self, name: str, work: Work) -> None:
        if name in self._under_way:
            return

        async def run() -> object:
            return await work()

        errand = asyncio.get_running_loop().create_task(run(), name=name)
        self._under_way[name] = errand
        errand.add_done_callback(lambda done: self._ended(name, work, done))

    def _ended(self, name: str, work: Work, errand: asyncio.Task[object]) -> None:
        del self._under_way[name]
        if name in self._again and not errand.cancelled():
            self._again.discard(name)
            self._begin(name, work)
        if not errand.cancelled() and errand.exception() is not None:
            log.error("node.errand_failed", errand=name, exc_info=errand.exception())
