"""What several trackers count of a swarm becomes one Scrape; what none of them said stays None, never 0 (BEP 48).

Several trackers are joined by the lower median of each figure: the maximum over trackers is never the truth, since one
tracker that invents a number (one said -65000, one 10^9) would speak for all.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median_low

from smartnode.domain.tracker import Scrape
from smartnode.swarm.answers import Counts


def combine(said: Sequence[Counts], at: datetime) -> Scrape:
    """Join what several trackers say of one swarm: the lower median of the plausible figures, field by field."""
    return Scrape(
        at=at,
        complete=_median(c.complete for c in said),
        incomplete=_median(c.incomplete for c in said),
        downloaded=_median(c.downloaded for c in said),
    )


def _median(figures: Iterable[int | None]) -> int | None:
    said = [f for f in figures if f is not None]
    return median_low(said) if said else None
