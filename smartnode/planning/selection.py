"""What this node may fetch by its configuration; it decides on fetching only, what is held stays whatever it says.

- *exclude* goes before *include*; an empty *include* means everything. A pattern names a collection, an id, or
  collection/id, letter for letter but for ``*``, ``?`` and ``[...]``.
- *bbox* selects what touches it, and of what the catalogue gives no bbox for nothing: unknown is not inside.
- A box whose west is east of its east crosses the antimeridian (RFC 7946, 5.2).
"""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from smartnode.domain.catalogue import Item
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Because, Rule

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

_PATTERNS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The volunteer's choice by configuration; without any key everything is selected."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    bbox: Box | None = None
    max_item_size: Bytes | None = None

    def refusal(self, item: Item) -> Because | None:
        """Why *item* is not selected, with the key that says so and its value; None when it is."""
        if self.exclude and _any(self.exclude, item):
            pattern = next(each for each in self.exclude if _any((each,), item))
            return _because("exclude", pattern, f"selection.exclude names it with {pattern!r}")
        if self.include and not _any(self.include, item):
            return _because("include", _shown(self.include), f"selection.include has only {_shown(self.include)}")
        if self.bbox is not None and item.bbox is None:
            text = f"the catalogue gives no bbox for it, and selection.bbox is {_box(self.bbox)}"
            return _because("bbox", _box(self.bbox), text)
        if self.bbox is not None and item.bbox is not None and not touches(item.bbox, self.bbox):
            text = f"its bbox {_box(item.bbox)} does not touch selection.bbox {_box(self.bbox)}"
            return _because("bbox", _box(self.bbox), text)
        largest, torrent = self.max_item_size, item.torrent
        if largest is not None and torrent is not None and torrent.size > largest:
            text = f"its {torrent.size} bytes are more than selection.max_item_size, {largest} bytes"
            return _because("max_item_size", largest, text)
        return None


EVERYTHING = Selection()


def touches(one: Box, other: Box) -> bool:
    """Say whether two boxes share a point, edges included."""
    south, north = max(one[1], other[1]), min(one[3], other[3])
    return south <= north and any(
        max(west, other_west) <= min(east, other_east)
        for west, east in _spans(one)
        for other_west, other_east in _spans(other)
    )


def _spans(box: Box) -> tuple[tuple[float, float], ...]:
    """Return the longitudes of a box as one span, or two where it crosses the antimeridian."""
    west, _, east, _ = box
    return ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))


def _any(patterns: tuple[str, ...], item: Item) -> bool:
    """Say whether one of the patterns names the item."""
    named = _compiled(patterns)
    return any(named.match(name) for name in (item.key.collection, item.key.id, str(item.key)) if name)


@lru_cache(maxsize=256)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def _because(key: str, value: float | str, text: str) -> Because:
    evidence: dict[str, float | int | str | None] = {"key": f"selection.{key}", "value": value}
    return Because(rule=Rule.NOT_SELECTED, text=f"not selected: {text}; it is not fetched", evidence=evidence)


def _shown(patterns: Sequence[str]) -> str:
    more = ", ..." if len(patterns) > _PATTERNS_SHOWN else ""
    return ", ".join(map(repr, patterns[:_PATTERNS_SHOWN])) + more


def _box(box: Box) -> str:
    return f"[{', '.join(f'{edge:g}' for edge in box)}]"
