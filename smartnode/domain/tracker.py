"""What trackers say: counts that rank swarms for a look and become demand, never a copy; and how well they answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

COUNT_MAX = 10_000_000
"""A count above this is no count: no swarm is that large, and a tracker once said 10^9."""

WINDOW = timedelta(days=7)
"""Downloads are measured over at most this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """What trackers counted of one swarm at *at* (BEP 48, BEP 15). None: no tracker said it, or nothing plausible.

    *complete*: peers with everything; *incomplete*: all others, partial seeds included; *downloaded*: completed
    downloads ever. *downloaded_before*, *before_at*: an earlier count of the same, at most a week old, to measure by.
    """

    at: datetime
    complete: int | None
    incomplete: int | None
    downloaded: int | None
    downloaded_before: int | None = None
    before_at: datetime | None = None

    @property
    def downloads(self) -> int | None:
        """Downloads that ended between the two counts; None when one is missing or the tracker began anew."""
        if self.downloaded is None or self.downloaded_before is None or self.downloaded < self.downloaded_before:
            return None
        return self.downloaded - self.downloaded_before

    def after(self, known: Self | None) -> Self:
        """Return these counts with the earlier one to measure downloads by, from what was *known*; a figure that no
        tracker said this time stays as it was known.

        The earlier count is the oldest within a week; a tracker that counts less than before has begun anew.
        """
        if known is None:
            return self
        merged = replace(
            self,
            complete=known.complete if self.complete is None else self.complete,
            incomplete=known.incomplete if self.incomplete is None else self.incomplete,
            downloaded=known.downloaded if self.downloaded is None else self.downloaded,
        )
        if self.downloaded is None:
            return replace(merged, downloaded_before=known.downloaded_before, before_at=known.before_at)
        earlier = [
            (count, at)
            for count, at in ((known.downloaded_before, known.before_at), (known.downloaded, known.at))
            if count is not None and at is not None and self.at - at <= WINDOW and count <= self.downloaded
        ]
        if not earlier or (known.downloaded is not None and known.downloaded > self.downloaded):
            return merged
        return replace(merged, downloaded_before=earlier[0][0], before_at=earlier[0][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerHealth:
    """One tracker as this node sees it. *url* without what could be a passkey. *torrents*: that announce to it.

    *answered_at*: its last usable reply; *failures*: in a row since, the last one at *failed_at*. *reason*: why it
    failed last, or what it refuses while it answers, in one line; else empty. *silent*: torrents whose last announce is
    older than the tracker's own interval allows.
    """

    url: str
    torrents: int
    answered_at: datetime | None
    failures: int
    reason: str
    silent: int = 0
    failed_at: datetime | None = None
