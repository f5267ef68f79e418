"""How a person names an item: an info-hash or a prefix of one, collection/id, or an id that only one item has."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash

PREFIX_MIN = 4

T = TypeVar("T")


def matching(items: Iterable[Item], reference: str) -> list[Item]:
    """Return the items that *reference* names: none, one, or several when it is ambiguous; an exact name wins."""
    return among(
        ((i, (str(i.key), i.key.id), None if i.torrent is None else i.torrent.info_hash) for i in items), reference
    )


def among(named: Iterable[tuple[T, Sequence[str], InfoHash | None]], reference: str) -> list[T]:
    """Return which of the things with these names and info-hashes *reference* names; an exact name wins."""
    everything = list(named)
    exact = [thing for thing, names, info_hash in everything if reference in (*names, info_hash)]
    if exact:
        return exact
    lowered = reference.lower()
    if len(lowered) < PREFIX_MIN:
        return []
    return [thing for thing, _, info_hash in everything if info_hash is not None and info_hash.startswith(lowered)]
