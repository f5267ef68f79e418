"""Which swarms a cycle looks at: those it is about to leap into, then the stalest and the emptiest, within its budget.

Every swarm comes first by its age at some time, so that none is overlooked for ever. Each node has an order of its own:
nodes that look at the same few swarms first fetch the same few segments (simulated: 40 copies of some, none of others).
What trackers count only ranks: it says where a look is likely to find few copies, and never how many copies there are.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.swarm import SwarmView
from smartnode.domain.tracker import Scrape

PROBES_MIN = 10
ITEMS_PER_PROBE = 1000
_BITS = 52
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
    node: NodeId,
    now: datetime,
) -> list[InfoHash]:
    """Return *count* swarms: one half was not looked at for longest, never seen first; the other is drawn from those
    not looked at within the hour, likelier the fewer peers are counted there. Ties and draws are *node*'s own.
    """
    turn = _turns(node)

    def looked_at(info_hash: InfoHash) -> float:
        view = views.get(info_hash)
        return view.looked_at.timestamp() if view is not None and view.looked_at is not None else float("-inf")

    def crowd(info_hash: InfoHash) -> float:
        scrape = scrapes.get(info_hash)
        if scrape is None or (scrape.complete is None and scrape.incomplete is None):
            return float("inf")  # nobody counted: unknown is not few
        peers = (scrape.complete or 0) + (scrape.incomplete or 0)
        return math.log(1 + peers) + math.log(-math.log(turn(info_hash)))

    by_age = sorted(set(candidates), key=lambda h: (looked_at(h), turn(h)))
    stale = by_age[: count - count // 2]
    limit = (now - FRESH).timestamp()
    rest = [h for h in by_age[len(stale) :] if looked_at(h) <= limit]
    few = sorted(rest, key=lambda h: (crowd(h), looked_at(h), turn(h)))[: count - len(stale)]
    chosen = [*stale, *few]
    known = set(chosen)
    return [*chosen, *(h for h in by_age if h not in known)][:count]


def _turns(node: NodeId) -> Callable[[InfoHash], float]:
    """Return a number in (0, 1) for each torrent, spread differently on each node."""
    own = int.from_bytes(sha256(node).digest()[:8], "big") >> (64 - _BITS)
    return lambda info_hash: ((int(info_hash[: _BITS // 4], 16) ^ own) + 0.5) / (1 << _BITS)
