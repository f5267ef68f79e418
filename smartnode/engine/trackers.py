"""One tracker as all torrents together see it: down after five failures in a row, back at the first answer, and shown
without what could be a passkey.

How often a tracker wants to be asked is not in libtorrent's alerts; it is read from one torrent's list, rarely. What a
tracker says is bounded: one that asks for silence longer than two hours is not obeyed.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.tracker import TrackerHealth

DOWN_AFTER = 5
BOUND_S = 45 * 60.0
"""How long a torrent may be silent while the tracker's interval is not known."""

INTERVAL_MAX_S = 7200.0
INTERVAL_EVERY_S = 1800.0
_LATE, _LATE_S = 1.1, 60.0
_WORD = re.compile(r"announce(\.php)?")


class Tracker:
    """One tracker. *failing*: torrents that wait for it; *torrents*, *silent*: as counted last."""

    KNOCK_EVERY_S = 120.0

    def __init__(self, url: str) -> None:
        """Nothing is known of it."""
        self.url = url
        self.shown = shown(url)
        self.failing: set[InfoHash] = set()
        self.failures = 0
        self.reason = ""
        self.answered_at: datetime | None = None
        self.failed_at: datetime | None = None
        self.knock_at = 0.0
        self._heard_at: float | None = None
        self.torrents = self.silent = 0
        self._interval_s: float | None = None
        self._interval_at: float | None = None

    @property
    def down(self) -> bool:
        """It failed so often in a row that nobody new is sent to it."""
        return self.failures >= DOWN_AFTER

    @property
    def bound_s(self) -> float:
        """How long a torrent may be silent: the tracker's interval and a tenth, and the time an announce takes."""
        return BOUND_S if self._interval_s is None else self._interval_s * _LATE + _LATE_S

    def answered(self, now: float) -> bool:
        """Take note that it answers; say whether it was down."""
        was_down, self.failures, self.reason = self.down, 0, ""
        self.answered_at, self._heard_at = datetime.now(UTC), now
        return was_down

    def answered_after(self, asked_at: float | None) -> bool:
        """Say whether it answered since: what was asked before it came back and times out says nothing of it."""
        return asked_at is not None and self._heard_at is not None and asked_at <= self._heard_at

    def failed(self, reason: str, knock_at: float) -> bool:
        """Take note of a failure; say whether it is down from now on, to be asked again at *knock_at*."""
        was_down = self.down
        self.failures, self.reason, self.failed_at = self.failures + 1, reason, datetime.now(UTC)
        if was_down or not self.down:
            return False
        self.knock_at = knock_at
        return True

    def wants_interval(self, now: float) -> bool:
        """Say whether its interval should be looked up again."""
        return self._interval_at is None or now >= self._interval_at + INTERVAL_EVERY_S

    def took_interval(self, interval_s: float | None, now: float) -> None:
        """Take over what was looked up."""
        self._interval_at = now
        if interval_s is not None:
            self._interval_s = min(interval_s, INTERVAL_MAX_S)

    def health(self) -> TrackerHealth:
        """Return it as a value."""
        return TrackerHealth(
            url=self.shown,
            torrents=self.torrents,
            answered_at=self.answered_at,
            failures=self.failures,
            reason=self.reason,
            silent=self.silent,
            failed_at=self.failed_at,
        )


class Trackers:
    """All trackers that were heard of."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[str, Tracker] = {}

    def __iter__(self) -> Iterator[Tracker]:
        """Go through them."""
        return iter(self._known.values())

    def of(self, url: str) -> Tracker:
        """Return the tracker at *url*."""
        tracker = self._known.get(url)
        if tracker is None:
            tracker = self._known[url] = Tracker(url)
        return tracker

    def health(self) -> tuple[TrackerHealth, ...]:
        """Return how those listen that torrents announce to, in order of their names; counts are a few seconds old."""
        return tuple(sorted((each.health() for each in self if each.torrents), key=lambda health: health.url))


def interval_of(handle: lt.torrent_handle, url: str) -> float | None:
    """Return in how many seconds libtorrent announces next, just after an answer; None when that is not known.

    Waits for libtorrent's network thread: well below a millisecond, and rarely asked.
    """
    try:
        entries: Any = handle.trackers()
    except RuntimeError:
        return None
    due = [
        spoken["next_announce"]
        for entry in entries
        if entry["url"] == url
        for endpoint in entry["endpoints"]
        for spoken in endpoint["info_hashes"]
        if isinstance(spoken["next_announce"], int)
    ]
    left = max(due, default=0) - time.time()
    return left if left > 0 else None


def shown(url: str) -> str:
    """Return scheme, host and port, and the last word of the path when it is the usual one: no user, no passkey."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "?"
    name = f"[{host}]" if ":" in host else host
    word = parts.path.rsplit("/", 1)[-1]
    tail = f"/{word}" if _WORD.fullmatch(word) else ""
    return f"{parts.scheme}://{name}{'' if port is None else f':{port}'}{tail}"
