"""ITEM on the command line without a running node: what the kept catalogue, the ledger and the resume files name.

A torrent that several items name is one; a whole info-hash needs nobody who knows it. When no catalogue was kept yet
it is fetched, as ``plan`` does.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from smartnode.api.naming import among, matching
from smartnode.catalogue.catalogue import Catalogue
from smartnode.catalogue.selection import Selection
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings
from smartnode.daemon.dry_run import read_holdings
from smartnode.daemon.rooms import catalogue_of, ledger_of
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash, info_hash
from smartnode.domain.wishes import Wish
from smartnode.errors import ConfigError

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One torrent and what it is called: collection/id, or its info-hash."""

    info_hash: InfoHash
    item: str


async def find(settings: Settings, paths: Paths, reference: str) -> Named:
    """Return the one torrent that *reference* names; ConfigError when it names none or several, or an item without a
    torrent; CatalogueError when no catalogue can be had.
    """
    ledger = ledger_of(paths, read_only=True)
    await ledger.open()
    try:
        wishes = await ledger.wishes()
    finally:
        await ledger.close()
    holdings, _ = await asyncio.to_thread(read_holdings, paths.state / "resume")
    whole = _whole(reference)
    items = await _items(catalogue_of(settings, paths), reference, held=frozenset((*holdings, *filter(None, (whole,)))))
    found = _named(items)
    found |= {named.info_hash: named for named in _others(wishes, holdings, reference) if named.info_hash not in found}
    if not found and whole is not None:
        return Named(info_hash=whole, item=whole)
    return _only(list(found.values()), items, reference)


async def _items(catalogue: Catalogue, reference: str, *, held: frozenset[InfoHash]) -> list[Item]:
    """Return the items that *reference* names, whatever the size of the catalogue: slice by slice."""
    snapshot: Snapshot | None = await catalogue.load(held=held)
    if snapshot is None:
        snapshot = await catalogue.refresh(now=datetime.now(UTC), held=held)
    found = matching(snapshot.items, reference)
    if len(snapshot.items) < snapshot.good:
        for number in range(1, Selection().slices(snapshot.rows)):
            more = await catalogue.load(held=held, slice_number=number)
            found += matching(() if more is None else more.items, reference)
    return sorted({item.key: item for item in found}.values(), key=lambda item: item.key)


def _named(items: Iterable[Item]) -> dict[InfoHash, Named]:
    """Return each torrent once, under the first of its items by key, as in a plan."""
    found: dict[InfoHash, Named] = {}
    for item in items:
        if item.torrent is not None:
            named = Named(info_hash=item.torrent.info_hash, item=str(item.key))
            found.setdefault(named.info_hash, named)
    return found


def _others(wishes: Sequence[Wish], holdings: Iterable[InfoHash], reference: str) -> list[Named]:
    """Return what no item of the catalogue names: torrents that a word was said of, and torrents held."""
    said = {wish.info_hash: Named(info_hash=wish.info_hash, item=wish.item) for wish in wishes}
    known = {held: Named(info_hash=held, item=held) for held in holdings} | said
    return among(((n, (n.item, n.item.rpartition("/")[2]), n.info_hash) for n in known.values()), reference)


def _only(found: Sequence[Named], items: Sequence[Item], reference: str) -> Named:
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{named.item} ({named.info_hash[:12]})" for named in found[:_SHOWN])
        message = f"{reference!r} names {len(found)} items: {names}"
        raise ConfigError(message, cure="use collection/id, or more digits of the info-hash")
    if items:
        message = f"{items[0].key} has no torrent in the catalogue, nothing of it can be fetched"
        raise ConfigError(message, cure="name an item with a torrent")
    message = f"no item is named {reference!r}"
    raise ConfigError(message, cure="use collection/id, an id, or an info-hash; `smartnode plan` shows them")


def _whole(reference: str) -> InfoHash | None:
    try:
        return info_hash(reference)
    except ValueError:
        return None
