"""How a person names an item: an info-hash or a prefix of one, collection/id, or an id that only one item has."""

from collections.abc import Iterable

from smartnode.domain.catalogue import Item

PREFIX_MIN = 4


def matching(items: Iterable[Item], reference: str) -> list[Item]:
    """Return the items that *reference* names: none, one, or several when it is ambiguous; an exact name wins."""
    everything = list(items)
    exact = [i for i in everything if reference in _names(i)]
    if exact:
        return exact
    lowered = reference.lower()
    if len(lowered) < PREFIX_MIN:
        return []
    return [i for i in everything if i.torrent is not None and i.torrent.info_hash.startswith(lowered)]


def _names(item: Item) -> tuple[str, ...]:
    hashes = () if item.torrent is None else (item.torrent.info_hash,)
    return (str(item.key), item.key.id, *hashes)
