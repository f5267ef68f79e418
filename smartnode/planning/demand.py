"""Demand makes an item worth half as much again: somebody downloads it, or somebody tries to and hardly gets on.

- Downloads: what trackers counted as completed within the last week, less the smartnodes that became whole in that
  time: a node that placed a copy is no reader. Counts of trackers are claims; all that a lie buys is half a copy.
- A slow leecher: a foreign peer that misses pieces, wants them (no BEP 21 upload_only) and would need more than a day
  at the speed that was seen of it. A speed that was not seen is unknown, and unknown is no demand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smartnode.domain.holding import Holding
from smartnode.domain.swarm import Holder, SwarmView
from smartnode.domain.tracker import WINDOW
from smartnode.planning.health import is_within
from smartnode.planning.policy import Policy

WORTH: Final = 1.5
"""What demand multiplies an item's value by."""

SLOW: Final = timedelta(days=1)
"""A leecher that needs longer than this for what it misses is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """*downloads*: ended within a week, smartnodes left out, None: not counted. *slow*: leechers that hardly get on."""

    downloads: int | None = None
    slow: int = 0

    @property
    def is_there(self) -> bool:
        """Somebody wants the item."""
        return bool(self.downloads) or self.slow > 0


def demand(
    view: SwarmView | None, holders: Sequence[Holder], own: Holding | None, *, policy: Policy, now: datetime
) -> Demand:
    """Tell what was seen of readers of one torrent of which this node holds *own*; *holders*: the distinct ones of the
    view.
    """
    if view is None:
        return Demand()
    slow = sum(_is_slow(h) for h in holders if is_within(policy.a_max, h.last_contact, now))
    return Demand(downloads=_downloads(view, holders, own, now), slow=slow)


def _downloads(view: SwarmView, holders: Sequence[Holder], own: Holding | None, now: datetime) -> int | None:
    scrape = view.scrape
    if scrape is None or scrape.before_at is None or scrape.downloads is None:
        return None
    if not is_within(WINDOW, scrape.before_at, now):
        return None
    placed = sum(h.smartnode and _is_whole(h) and h.first_seen >= scrape.before_at for h in holders)
    placed += own is not None and own.have.count() == own.have.length
    return max(0, scrape.downloads - placed)


def _is_slow(holder: Holder) -> bool:
    if holder.smartnode or holder.upload_only or holder.rate is None or _is_whole(holder):
        return False
    missing = holder.pieces.length - holder.pieces.count()
    return missing > holder.rate * SLOW.total_seconds()


def _is_whole(holder: Holder) -> bool:
    return holder.pieces.count() == holder.pieces.length
