"""Each row is judged alone: it becomes an Item, or a Rejection with one line that says why; it never ends the reading.

Laws:
- ``id`` (and ``collection``, where given) can name a folder.
- ``torrent:*`` is read from the asset ``torrent``, else from the properties; where both stand they must agree.
- A torrent needs an info-hash and a size; a row without either is an item without a torrent. A value that stands and
  is wrong rejects the row: silence is no fault, a falsehood is.
- An href that is not a plain public web address rejects its row, also of the data: it shows that the row cannot be
  trusted. Storage schemes (``s3:`` ...) are only no web seed. Trackers, being hints, are dropped one by one.
- ``torrent:priority`` and ``torrent:target_replicas`` are advice: moved into range, ignored when unreadable; so is
  ``storage:region``, which stands beside the href that it is about.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from smartnode.catalogue.fields import box, described, folder_name, hash_v1, hash_v2, hint, label, moment, truth, whole
from smartnode.domain.catalogue import Item, Rejection, Torrent
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.web.address import (
    STORAGE_SCHEMES,
    magnet_hashes,
    scheme_of,
    shown,
    tracker_address,
    web_address,
)

MAX_SIZE = (1 << 48) - 1
"""Bytes of one torrent, libtorrent's own limit."""
MIN_PIECE, MAX_PIECE = 1 << 10, 1 << 29
MAX_PIECES = 1 << 21
MAX_TRACKERS = 32
MAX_WEB_SEEDS = 32
PRIORITY_BOUND = 16
REPLICAS_BOUND = 1000
REGION = "storage:region"

TORRENT_FIELDS = (
    "href",
    "torrent:info_hash",
    "torrent:info_hash_v2",
    "torrent:size",
    "torrent:piece_length",
    "torrent:name",
    "torrent:trackers",
)
"""What is read of the asset ``torrent``."""

T = TypeVar("T")
Row = Mapping[str, Any]
"""A STAC item as JSON-like values: properties hoisted to the top, ``assets`` a mapping or absent."""


def judge(raw: Row, *, row: int, allow_private: bool) -> Item | Rejection:
    """Return what row number *row* is; whatever JSON-like values stand in it, this does not raise."""
    shown_id: str | None = label(raw.get("id"))
    try:
        return _item(raw, allow_private=allow_private)
    except ValueError as error:
        return Rejection(row=row, id=shown_id, reason=str(error))


def _item(raw: Row, *, allow_private: bool) -> Item:
    key = ItemKey(
        id=_named("id", folder_name, raw.get("id")),
        collection="" if raw.get("collection") is None else _named("collection", folder_name, raw["collection"]),
    )
    data, torrent = _assets(raw)
    seeds = _web_seeds(data, allow_private=allow_private)
    priority = hint(raw.get("torrent:priority"), low=-PRIORITY_BOUND, high=PRIORITY_BOUND)
    replicas = hint(raw.get("torrent:target_replicas"), low=0, high=REPLICAS_BOUND)
    return Item(
        key=key,
        torrent=_torrent(raw, torrent, allow_private=allow_private),
        web_seeds=tuple(seeds),
        places=tuple((url, region) for url, region in seeds.items() if region is not None),
        title=label(raw.get("title")),
        version=label(raw.get("version")),
        doi=label(raw.get("sci:doi")),
        series=label(raw.get("torrent:series")),
        deprecated=truth(raw.get("deprecated")),
        unpublished=_named("unpublished", moment, raw.get("unpublished")),
        priority=priority or 0,
        target_replicas=replicas or None,
        bbox=box(raw.get("bbox")),
    )


def _named(name: str, parse: Callable[[object], T], value: object) -> T:
    try:
        return parse(value)
    except ValueError as error:
        message = f"{name} {error}"
        raise ValueError(message) from error


def _assets(raw: Row) -> tuple[Row, Row]:
    assets = raw.get("assets")
    if assets is None:
        return {}, {}
    if not isinstance(assets, dict):
        message = f"assets is not readable: {described(assets)}"
        raise ValueError(message)  # noqa: TRY004 - a row's fault is a value, not a programmer's type
    return _asset(assets, "data"), _asset(assets, "torrent")


def _asset(assets: Row, key: str) -> Row:
    asset = assets.get(key)
    if asset is None:
        return {}
    if not isinstance(asset, dict):
        message = f"assets.{key} is not an asset: {described(asset)}"
        raise ValueError(message)  # noqa: TRY004 - a row's fault is a value, not a programmer's type
    return asset


def _torrent(raw: Row, asset: Row, *, allow_private: bool) -> Torrent | None:
    v1 = _agreed(raw, asset, "torrent:info_hash", hash_v1)
    v2 = _agreed(raw, asset, "torrent:info_hash_v2", hash_v2)
    size = _agreed(raw, asset, "torrent:size", _size)
    piece_length = _agreed(raw, asset, "torrent:piece_length", _piece_length)
    name = _agreed(raw, asset, "torrent:name", label)
    url = _metainfo_url(asset.get("href"), v1=v1, v2=v2, allow_private=allow_private)
    if size is None or (v1 is None and v2 is None):
        return None
    if piece_length is not None and -(-size // piece_length) > MAX_PIECES:
        message = f"torrent:size {size} in pieces of {piece_length} is over {MAX_PIECES} pieces"
        raise ValueError(message)
    return Torrent(
        info_hash=v1 if v1 is not None else InfoHash((v2 or "")[:40]),
        info_hash_v1=v1,
        info_hash_v2=v2,
        size=size,
        piece_length=piece_length,
        name=name,
        metainfo_url=url,
        trackers=_trackers(raw, asset, allow_private=allow_private),
    )


def _agreed(raw: Row, asset: Row, name: str, parse: Callable[[object], T]) -> T | None:
    here, above = asset.get(name), raw.get(name)
    first = None if here is None else _named(name, parse, here)
    second = None if above is None else _named(name, parse, above)
    if first is not None and second is not None and first != second:
        message = f"{name} differs: {shown(str(first))} in the asset, {shown(str(second))} in the properties"
        raise ValueError(message)
    return second if first is None else first


def _size(value: object) -> Bytes:
    size = whole(value)
    if not 0 < size <= MAX_SIZE:
        message = f"is not a possible size: {size}"
        raise ValueError(message)
    return Bytes(size)


def _piece_length(value: object) -> Bytes:
    length = whole(value)
    if not MIN_PIECE <= length <= MAX_PIECE:
        message = f"is not a possible piece length: {length}"
        raise ValueError(message)
    return Bytes(length)


def _metainfo_url(href: object, *, v1: str | None, v2: str | None, allow_private: bool) -> str | None:
    if href is None:
        return None
    text = _named("torrent href", _text, href)
    if scheme_of(text) != "magnet":
        return _named("torrent href", partial(_web, allow_private=allow_private), text)
    named_v1, named_v2 = _named("torrent href", lambda _: magnet_hashes(text), text)
    claimed = {h for h in (v1, v2) if h is not None}
    if claimed and (not (named_v1 | named_v2) & claimed or (v1 and named_v1 - {v1}) or (v2 and named_v2 - {v2})):
        message = f"torrent href is a magnet of another torrent: {shown(text)}"
        raise ValueError(message)
    return text


def _web_seeds(data: Row, *, allow_private: bool) -> dict[str, str | None]:
    """Return the web seeds in order, each with the region that the row states of it."""
    alternate = data.get("alternate")
    others = alternate if isinstance(alternate, dict) else {}
    hrefs = [("data href", data.get("href"), data.get(REGION))]
    hrefs += [
        (f"alternate {shown(str(key))} href", other.get("href"), other.get(REGION))
        for key, other in sorted(others.items(), key=lambda pair: str(pair[0]))
        if isinstance(other, dict)
    ]
    web = partial(_web, allow_private=allow_private)
    seeds: dict[str, str | None] = {}
    for name, href, region in hrefs:
        if href is None:
            continue
        text = _named(name, _text, href)
        if scheme_of(text) not in STORAGE_SCHEMES:
            url = _named(name, web, text)
            seeds[url] = seeds.get(url) or label(region)
    return dict(islice(seeds.items(), MAX_WEB_SEEDS))


def _trackers(raw: Row, asset: Row, *, allow_private: bool) -> tuple[str, ...]:
    listed = asset.get("torrent:trackers")
    listed = raw.get("torrent:trackers") if listed is None else listed
    kept: dict[str, None] = {}
    for text in listed[:MAX_TRACKERS] if isinstance(listed, list) else []:
        if isinstance(text, str):
            try:
                kept[tracker_address(text, allow_private=allow_private)] = None
            except ValueError:
                continue
    return tuple(kept)


def _web(value: object, *, allow_private: bool) -> str:
    return web_address(_text(value), allow_private=allow_private)


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = f"is not text: {described(value)}"
        raise ValueError(message)  # noqa: TRY004 - a row's fault is a value, not a programmer's type
    return value
