"""Which swarms a cycle looks at: those it is about to leap into, then the stalest and the emptiest, within its budget.

Every swarm comes first by its age at some time, so that none is overlooked for ever. What trackers count only ranks:
it says where a look is likely to find few copies, and never how many copies there are.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import SwarmView
from smartnode.domain.tracker import Scrape

PROBES_MIN = 10
ITEMS_PER_PROBE = 1000
FRESH = timedelta(hours=1)
"""A swarm that was looked at within this time is not looked at again only because few peers are counted there."""


def probe_budget(items: int, configured: int | None) -> int:
    """Return how many swarms one cycle looks at: as configured, else max(10, items / 1000)."""
    return configured if configured is not None else max(PROBES_MIN, items // ITEMS_PER_PROBE)


def choose(
    candidates: Iterable[InfoHash],
    *,
    views: Mapping[InfoHash, SwarmView],
    scrapes: Mapping[InfoHash, Scrape],
    count: int,
    now: datetime,
) -> list[InfoHash]:
    """Return *count* swarms: one half was not looked at for longest (never seen first, then by counted peers, then by
    info-hash), the other has the fewest counted peers of those that were not looked at within the hour.
    """

    def looked_at(info_hash: InfoHash) -> float:
        view = views.get(info_hash)
        return view.looked_at.timestamp() if view is not None and view.looked_at is not None else float("-inf")

    def peers(info_hash: InfoHash) -> float:
        scrape = scrapes.get(info_hash)
        if scrape is None or (scrape.complete is None and scrape.incomplete is None):
            return float("inf")  # nobody counted: unknown is not few
        return (scrape.complete or 0) + (scrape.incomplete or 0)

    by_age = sorted(set(candidates), key=lambda h: (looked_at(h), peers(h), h))
    stale = by_age[: count - count // 2]
    limit = (now - FRESH).timestamp()
    rest = [h for h in by_age[len(stale) :] if looked_at(h) <= limit]
    few = sorted(rest, key=lambda h: (peers(h), looked_at(h), h))[: count - len(stale)]
    chosen = [*stale, *few]
    known = set(chosen)
    return [*chosen, *(h for h in by_age if h not in known)][:count]
