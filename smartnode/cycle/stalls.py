"""A promise that nobody keeps is given up: room that was set aside for pieces that do not come goes to others.

A torrent whose missing pieces saw none arrive for an hour loses its promise and waits like one that failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash

PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """How many pieces were held when that number last changed, or when the target did."""

    have: int
    missing: int
    since: datetime


class Stalls:
    """Remembers when each torrent last made progress; forgets those that miss nothing."""

    def __init__(self) -> None:
        """Begin with no torrent known."""
        self._seen: dict[InfoHash, _Progress] = {}

    def stalled(self, holdings: Mapping[InfoHash, Holding], now: datetime) -> list[InfoHash]:
        """Return the torrents that have missed pieces for an hour without one arriving."""
        seen: dict[InfoHash, _Progress] = {}
        for info_hash, holding in holdings.items():
            have, missing = holding.have.count(), holding.missing.count()
            before = self._seen.get(info_hash)
            if missing == 0:
                continue
            same = before is not None and (before.have, before.missing) == (have, missing)
            seen[info_hash] = before if same and before else _Progress(have=have, missing=missing, since=now)
        self._seen = seen
        return [info_hash for info_hash, progress in seen.items() if now - progress.since >= PATIENCE]
