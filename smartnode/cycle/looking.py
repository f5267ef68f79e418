"""Which swarms a cycle looks at: those it is about to leap into, then the stalest, never more than its budget."""

from collections.abc import Iterable, Mapping

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import SwarmView

PROBES_MIN = 10
ITEMS_PER_PROBE = 1000


def probe_budget(items: int, configured: int | None) -> int:
    """Return how many swarms one cycle looks at: as configured, else max(10, items / 1000)."""
    return configured if configured is not None else max(PROBES_MIN, items // ITEMS_PER_PROBE)


def stalest(candidates: Iterable[InfoHash], views: Mapping[InfoHash, SwarmView], count: int) -> list[InfoHash]:
    """Return the *count* swarms that were not looked at for longest, never seen ones first, ties by info-hash."""

    def age(info_hash: InfoHash) -> tuple[float, InfoHash]:
        view = views.get(info_hash)
        looked_at = view.looked_at if view is not None else None
        return (looked_at.timestamp() if looked_at is not None else float("-inf"), info_hash)

    return sorted(set(candidates), key=age)[:count]
