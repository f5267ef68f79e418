"""What several trackers count of a swarm becomes one Scrape; what none of them said stays None, never 0 (BEP 48).

Several trackers are joined by the lower median of each figure: the maximum over trackers is never the truth, since one
tracker that invents a number (one said -65000, one 10^9) would speak for all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median_low

from smartnode.domain.tracker import Scrape
from smartnode.swarm.answers import Counts

WINDOW = timedelta(days=7)


def combine(said: Sequence[Counts], at: datetime) -> Scrape:
    """Join what several trackers say of one swarm: the lower median of the plausible figures, field by field."""
    return Scrape(
        at=at,
        complete=_median(c.complete for c in said),
        incomplete=_median(c.incomplete for c in said),
        downloaded=_median(c.downloaded for c in said),
    )


def merge_scrape(known: Scrape | None, fresh: Scrape, *, window: timedelta = WINDOW) -> Scrape:
    """Return *fresh* with the oldest count of downloads within *window* to measure by.

    A count that fell means that the tracker began anew, and so does the measuring. A scrape older than what is known
    changes nothing.
    """
    if known is None:
        return fresh
    if fresh.at < known.at:
        return known
    for count, at in ((known.downloaded_before, known.before_at), (known.downloaded, known.at)):
        if count is None or at is None or not timedelta(0) < fresh.at - at <= window:
            continue
        if fresh.downloaded is not None and fresh.downloaded < max(count, known.downloaded or 0):
            break
        return replace(fresh, downloaded_before=count, before_at=at)
    return replace(fresh, downloaded_before=None, before_at=None)


def _median(figures: Iterable[int | None]) -> int | None:
    said = [f for f in figures if f is not None]
    return median_low(said) if said else None
