"""An item that fails is left alone for a while, longer each time, so that one bad item never holds up the others.

The wait doubles from 20 min, more than one cycle, to 6 h; one success forgets the failures. Lives in memory: a restart
tries everything again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash

FIRST_WAIT = timedelta(minutes=20)
LONGEST_WAIT = timedelta(hours=6)
FAILURES_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an item failed last, how often in a row, and when it may be tried again."""

    reason: str
    times: int
    until: datetime


class Backoff:
    """Failures by torrent; never more than 10,000 of them (the oldest go first)."""

    def __init__(self) -> None:
        """Begin with no failure known."""
        self._failures: dict[InfoHash, Failure] = {}

    def failed(self, info_hash: InfoHash, reason: str, now: datetime) -> Failure:
        """Note one more failure in a row."""
        before = self._failures.pop(info_hash, None)
        times = 1 if before is None else before.times + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 16))
        failure = Failure(reason=reason, times=times, until=now + wait)
        self._failures[info_hash] = failure
        while len(self._failures) > FAILURES_MAX:
            self._failures.pop(next(iter(self._failures)))
        return failure

    def succeeded(self, info_hash: InfoHash) -> None:
        """Forget the failures of a torrent."""
        self._failures.pop(info_hash, None)

    def waiting(self, info_hash: InfoHash, now: datetime) -> Failure | None:
        """Return the failure that still keeps the torrent waiting, None when it may be tried."""
        failure = self._failures.get(info_hash)
        return failure if failure is not None and now < failure.until else None
