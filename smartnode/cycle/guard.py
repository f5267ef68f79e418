"""The disk watchman: between cycles it looks at the floor, and wakes a cycle at once when the host needs its disk
back.

It decides nothing itself. After waking a cycle it stays quiet for a while: an eviction that cannot help is not tried
in a loop.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from smartnode.domain.quota import Room

QUIET = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class Watchman:
    """Compares measurements with the floor."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Call *wake* when a cycle must run now."""
        self._wake = wake
        self._last: datetime | None = None

    def saw(self, room: Room, now: datetime) -> bool:
        """Wake a cycle when the floor is broken, or will be by what is in flight; returns whether it did."""
        if room.disk_room >= 0 or (room.below_floor == 0 and room.in_flight == 0):
            return False
        if self._last is not None and now - self._last < QUIET:
            return False
        self._last = now
        log.warning(
            "disk.low",
            disk_free=room.disk_free,
            keep_free=room.keep_free,
            in_flight=room.in_flight,
            below_floor=room.below_floor,
        )
        self._wake()
        return True
