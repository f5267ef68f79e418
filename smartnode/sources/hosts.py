"""No host is crowded: eight looks at once, two at one host and a second apart, none while it asked for peace. Looks of
torrents that are waited for begin a fifth of a second apart: their pieces are about to be asked there anyhow.

Counted by the host and port that the catalogue names; where redirects lead is bounded by the looks as a whole. Looks
that nobody waits for take at most half of the places.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

PAUSES_MAX = 10_000
DOORS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What looking at web seeds may take. *looks*: under way or queued, *per_host_looks* of them at one host.

    *idle_bytes*: of whole pieces of torrents that nobody waits for, per *idle_period*; one piece always fits.
    *urgent_mirrors*: of a torrent that is being fetched, as many live ones are looked for outside of that: libtorrent
    uses three at once. *patience*: how long one call waits for looks that are under way, before it tells what is known.
    """

    at_once: int = 8
    idle_at_once: int = 4
    per_host: int = 2
    host_spacing: timedelta = timedelta(seconds=1)
    urgent_spacing: timedelta = timedelta(seconds=0.2)
    host_pause: timedelta = timedelta(seconds=30)
    host_pause_max: timedelta = timedelta(hours=1)
    looks: int = 64
    per_host_looks: int = 8
    idle_bytes: int = 64 << 20
    idle_period: timedelta = timedelta(minutes=15)
    urgent_mirrors: int = 3
    patience: timedelta = timedelta(seconds=1)


def host_of(url: str) -> str:
    """Return host and port of an address, as one server is told from another."""
    return urlsplit(url).netloc.lower()


@dataclass(slots=True, kw_only=True)
class _Door:
    """One host while somebody is at it or waits for it."""

    places: asyncio.Semaphore
    inside: int = 0
    began_at: float = -math.inf
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Hosts:
    """Lets looks in, one by one."""

    def __init__(self, budget: Budget) -> None:
        """Begin with no host known."""
        self._budget = budget
        self._all = asyncio.Semaphore(budget.at_once)
        self._idle = asyncio.Semaphore(budget.idle_at_once)
        self._doors: dict[str, _Door] = {}
        self._paused: OrderedDict[str, datetime] = OrderedDict()

    def is_open(self, host: str, now: datetime) -> bool:
        """Say whether the host may be asked now."""
        until = self._paused.get(host)
        return until is None or until <= now

    def pause(self, host: str, now: datetime, wait: timedelta | None) -> None:
        """Leave the host alone for *wait*, at most an hour; None: for 30 s."""
        bounded = min(self._budget.host_pause if wait is None else wait, self._budget.host_pause_max)
        self._paused[host] = max(now + bounded, self._paused.pop(host, now))
        while len(self._paused) > PAUSES_MAX:
            self._paused.popitem(last=False)

    @asynccontextmanager
    async def visit(self, host: str, *, urgent: bool) -> AsyncIterator[None]:
        """Wait for a place; what waits for its host holds up nobody else."""
        self._sweep()
        door = self._doors.setdefault(host, _Door(places=asyncio.Semaphore(self._budget.per_host)))
        door.inside += 1
        try:
            async with door.places:
                await self._spaced(door, self._budget.urgent_spacing if urgent else self._budget.host_spacing)
                if urgent:
                    async with self._all:
                        yield
                else:
                    async with self._idle, self._all:
                        yield
        finally:
            door.inside -= 1

    def _sweep(self) -> None:
        """Forget hosts that nobody waits for, once there are many."""
        if len(self._doors) > DOORS_MAX:
            recent = asyncio.get_running_loop().time() - self._budget.host_spacing.total_seconds()
            self._doors = {h: door for h, door in self._doors.items() if door.inside or door.began_at > recent}

    @staticmethod
    async def _spaced(door: _Door, spacing: timedelta) -> None:
        """Wait until *spacing* after the look before this one began."""
        loop = asyncio.get_running_loop()
        async with door.turn:
            await asyncio.sleep(max(0.0, door.began_at + spacing.total_seconds() - loop.time()))
            door.began_at = loop.time()


class Purse:
    """The bytes of whole pieces that torrents nobody waits for may cost in one period."""

    def __init__(self, budget: Budget) -> None:
        """Begin full."""
        self._budget = budget
        self._since: datetime | None = None
        self._spent = 0

    def take(self, cost: int, now: datetime) -> bool:
        """Spend *cost* if it fits, or if nothing was spent in this period yet."""
        if self._since is None or not timedelta() <= now - self._since < self._budget.idle_period:
            self._since, self._spent = now, 0
        if self._spent and self._spent + cost > self._budget.idle_bytes:
            return False
        self._spent += cost
        return True
