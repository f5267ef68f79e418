"""How one tracker stands with this node: when it may be asked, and what it did when it was.

Laws: a tracker that failed is left alone for 30 s, doubled with each further failure up to a bound, with jitter, so
that the nodes of a network do not return to it together. After that one question at a time passes until one is
answered.
Questions that were under way together fail together, once. A token bucket bounds look-ups per second.
"""

import random
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from smartnode.domain.tracker import TrackerHealth
from smartnode.swarm.tracker_line import BATCH, REST_MAX_S
from smartnode.web.address import scheme_of

REST_FIRST_S = 30.0
JITTER = 0.25
BUCKET_S = 1.0
"""A bucket holds what flows in during this time."""
LEARNED_FOR_S = 86_400.0
NO_SCRAPE_FOR_S = 3600.0
_JITTER = random.SystemRandom()


class Standing:
    """One tracker's standing; *clock* is monotonic, in seconds."""

    def __init__(
        self, url: str, *, lookups_per_s: float, clock: Callable[[], float], rest_max_s: float = REST_MAX_S
    ) -> None:
        """Begin without a verdict; *rest_max_s*: how long it is left alone at most after failures."""
        self._rest_max_s = rest_max_s
        self.url = url
        self.udp = scheme_of(url) == "udp"
        self.torrents = 0
        self.left_over: frozenset[str] = frozenset()
        """What the last scrape did not get to; it comes first in the next."""
        self.used_at = clock()
        self._clock = clock
        self._rate = lookups_per_s
        self._tokens = lookups_per_s * BUCKET_S
        self._filled_at = clock()
        self._round = 0
        self._probing = False
        self._failures = 0
        self._retry_at = 0.0
        self._reason = ""
        self._answered_at: datetime | None = None
        self._failing_since: datetime | None = None
        self._failed_at: datetime | None = None
        self._batch = (BATCH, 0.0)
        self._no_scrape_until = 0.0

    def admit(self) -> int | None:
        """Return a ticket for one question, to be handed back with a verdict; None: not now."""
        self.used_at = self._clock()
        if self._failures:
            if self._probing or self.used_at < self._retry_at:
                return None
            self._probing = True
        return self._round

    def answered(self, now: datetime) -> None:
        """The tracker answered, be it with a refusal."""
        self._failures, self._probing, self._reason = 0, False, ""
        self._answered_at, self._failing_since = now, None

    def failed(self, ticket: int, now: datetime, reason: str) -> None:
        """No usable answer came to the question of *ticket*."""
        if ticket != self._round:
            return
        self._round += 1
        self._probing = False
        self._reason = reason
        self._failing_since = self._failing_since or now
        self._failed_at = now
        delay = min(self._rest_max_s, REST_FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._retry_at = self._clock() + delay * _JITTER.uniform(1 - JITTER, 1 + JITTER)

    def released(self, ticket: int) -> None:
        """The question of *ticket* was called off; nothing was learned."""
        if ticket == self._round:
            self._probing = False

    def token_wait_s(self) -> float:
        """Take one token; how long to wait before it is there."""
        at = self._clock()
        self._tokens = min(self._rate * BUCKET_S, self._tokens + (at - self._filled_at) * self._rate) - 1
        self._filled_at = at
        return max(0.0, -self._tokens / self._rate)

    def token_back(self) -> None:
        """Give back a token that was not used."""
        self._tokens += 1

    @property
    def batch(self) -> int:
        """How many torrents it is asked about at once; learned for a day, then tried anew."""
        size, until = self._batch
        return size if self._clock() < until else BATCH

    @batch.setter
    def batch(self, size: int) -> None:
        if size < self.batch:
            self._batch = (size, self._clock() + LEARNED_FOR_S)

    @property
    def scrapes(self) -> bool:
        """Whether it is worth asking for counts."""
        return self._clock() >= self._no_scrape_until

    def refuses_to_scrape(self) -> None:
        """It answered that it does not count for us; ask again in an hour."""
        self._no_scrape_until = self._clock() + NO_SCRAPE_FOR_S

    @property
    def answers(self) -> bool:
        """Whether its last question was answered."""
        return self._failures == 0 and self._answered_at is not None

    def health(self) -> TrackerHealth:
        """Return what may be shown of it."""
        return TrackerHealth(
            url=shown_url(self.url),
            torrents=self.torrents,
            answered_at=self._answered_at,
            failures=self._failures,
            reason=self._reason,
            failed_at=self._failed_at,
        )

    def complaint(self, now: datetime) -> str | None:
        """Say in one line since when it does not answer; None while it does."""
        since = self._failing_since
        if since is None:
            return None
        clock = f"{since:%H:%M}" if since.date() == now.date() else f"{since:%Y-%m-%d %H:%M}"
        return f"swarm: tracker {_origin(self.url)} does not answer since {clock} ({self._reason})"


def shown_url(url: str) -> str:
    """Return *url* without what could be a passkey: scheme, host and port, and ``announce`` when the path ends so."""
    return f"{_origin(url)}/{'announce' if urlsplit(url).path.endswith('/announce') else ''}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
