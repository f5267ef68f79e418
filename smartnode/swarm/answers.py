"""What one tracker can say: counts, peers, or no; a figure that cannot be a count is None, never 0.

A refusal is an answer: it is told apart from silence, which alone makes a tracker be left alone.
"""

from dataclasses import dataclass

from smartnode.domain.swarm import Address
from smartnode.domain.tracker import COUNT_MAX
from smartnode.errors import SwarmError

INTERVAL_MAX_S = 86_400


class TrackerRefusal(SwarmError):  # noqa: N818 -- a refusal is an answer
    """The tracker says no: not this torrent, not so many at once, or no scrape at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one tracker counts of one swarm; None: it did not say, or nothing plausible."""

    complete: int | None
    incomplete: int | None
    downloaded: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What one tracker answered to an announce. *interval_s*: when it wants the next one, 0 to a day; None: unsaid."""

    peers: tuple[Address, ...]
    interval_s: int | None


def plausible(value: object) -> int | None:
    """Return *value* when it can be a count of peers."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= COUNT_MAX else None
