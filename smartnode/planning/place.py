"""An item of which no copy is known to be where this node is, is worth half as much again to it: a copy here would be
the first.

Peers do not say where they are, and nobody could check it; where a mirror is, the catalogue states (`storage:region`).
So this goes by live mirrors alone, and only where it is known of all of them: a mirror that was not looked at, or whose
region is not stated, may be here. What this node holds itself does not count: the value of a segment must not fall
because it was fetched. A lie in the catalogue buys a third of a copy in the order of fetching; no eviction asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HERE: Final = 1.5
"""What a place without a copy multiplies an item's value by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this node is, in words like those of the catalogue (``ca-on``, ``ca``); None: not said. Capitals do not
    matter.
    """

    region: str | None = None
    jurisdiction: str | None = None

    def without(self, mirrors: int | None, regions: Sequence[str | None]) -> str | None:
        """Return the region or jurisdiction of this node that no live mirror is in, None when there is none, or none
        known; *mirrors*: how many live ones there are, None: unknown; *regions*: theirs, None: not stated.
        """
        stated = [region.casefold() for region in regions if region is not None]
        if mirrors is None or len(stated) < max(mirrors, len(regions)):
            return None
        mine = (self.region, self.jurisdiction)
        return next((each for each in mine if each and not any(_is_in(s, each.casefold()) for s in stated)), None)


NOWHERE: Final = Place()


def _is_in(region: str, place: str) -> bool:
    """``ca-on`` and ``ca-central-1`` are in ``ca``; ``cat`` is not."""
    return region == place or region.startswith(f"{place}-")
