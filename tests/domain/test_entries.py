"""Entries are made when they are read, and only those that are asked for."""

from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Because, Entries, PlanEntry, Rule


def entry(name: str) -> PlanEntry:
    """Return an entry of item *name*."""
    key = ItemKey(collection="c", id=name)
    because = Because(rule=Rule.NO_ROOM, text=name)
    return PlanEntry(item=key, info_hash=None, segments=(), bytes=Bytes(1), item_bytes=Bytes(1), because=because)


def test_only_what_is_read_is_made() -> None:
    """Counting and joining make nothing, an item makes its own, reading makes all; ready ones come first."""
    made: list[str] = []

    def maker(name: str) -> PlanEntry:
        made.append(name)
        return entry(name)

    parts = [(entry(name).item, lambda name=name: maker(name)) for name in "aba"]
    entries = Entries(parts, ready=[entry("r")]).plus([entry("z")])
    assert (len(entries), made) == (5, [])
    assert entries.of(entry("b").item) == (entry("b"),)
    assert made == ["b"]
    assert [each.because.text for each in entries] == ["r", "a", "b", "a", "z"]
    assert entries[1:3] == (entry("a"), entry("b"))
    assert entries == (entry("r"), entry("a"), entry("b"), entry("a"), entry("z"))
    assert entries != Entries()
