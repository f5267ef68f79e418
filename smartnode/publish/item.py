"""One immutable dataset version as a STAC item in the torrent profile: an item never names bytes that its torrent
does not carry.

STAC core 1.1 with the published extensions file 2.1, version 1.2, scientific 1.0, timestamps 1.1 and alternate-assets
1.2; ``torrent:`` fields stand on the asset ``torrent``, and what readers filter by is repeated in the properties.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.errors import PublishError
from smartnode.metainfo.read import Metainfo

STAC_VERSION = "1.1.0"
EXTENSIONS = (
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
    "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
    "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
    "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json",
    "https://dataforcanada.org/stac/torrent/v1.0.0/schema.json",
)
_SHA2_256_MULTIHASH = "1220"  # code of sha2-256, then 32 bytes of digest
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One more place that serves the identical file; *key* names it in ``alternate``."""

    key: str
    name: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The file of the dataset. *path* is its path inside the torrent, *sha256* 64 lower-case hex digits, *host* the
    name of the place that *href* (web seed 1) leads to.
    """

    href: str
    media_type: str
    path: PurePosixPath
    size: Bytes
    sha256: str
    host: str | None = None
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What is said of the version as a whole. *bbox* is (west, south, east, north); *start* and *end* bound what the
    data shows; *series* is the id without its version.
    """

    key: ItemKey
    title: str
    version: str
    license: str
    bbox: tuple[float, float, float, float]
    start: datetime
    end: datetime
    created: datetime
    doi: str | None = None
    series: str | None = None
    deprecated: bool = False
    experimental: bool = False
    unpublished: datetime | None = None
    priority: int = 0
    target_replicas: int | None = None


def stac_item(
    dataset: Dataset, payload: Payload, *, metainfo: Metainfo, metainfo_href: str, collection_href: str, self_href: str
) -> dict[str, Any]:
    """Return the STAC Item as a JSON object; PublishError when payload and torrent do not agree, a place is not an
    http(s) address or an id is not printable.
    """
    _check(dataset, payload, metainfo)
    for href in (payload.href, metainfo_href, collection_href, self_href, *(m.href for m in payload.mirrors)):
        if not href.startswith(("http://", "https://")):
            message = f"{href!r} is not an http(s) address"
            raise PublishError(message, cure="publish files under http:// or https://")
    links = [
        {"rel": "self", "href": self_href, "type": "application/geo+json"},
        {"rel": "collection", "href": collection_href, "type": "application/json"},
    ]
    if dataset.doi is not None:
        links.append({"rel": "cite-as", "href": f"https://doi.org/{dataset.doi}"})
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": dataset.key.id,
        "collection": dataset.key.collection,
        "geometry": _box(dataset.bbox),
        "bbox": list(dataset.bbox),
        "properties": _properties(dataset, metainfo),
        "assets": {"data": _data(payload), "torrent": _torrent(metainfo, metainfo_href)},
        "links": links,
    }


def _check(dataset: Dataset, payload: Payload, metainfo: Metainfo) -> None:
    if not dataset.key.id or _CONTROL.search(f"{dataset.key.collection}{dataset.key.id}"):
        message = f"{dataset.key.id!r} is not an item id"
        raise PublishError(message, cure="use printable characters")
    if _SHA256.fullmatch(payload.sha256) is None:
        message = f"{payload.sha256[:80]!r} is not a SHA-256 in lower-case hex"
        raise PublishError(message)
    west, south, east, north = dataset.bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):  # noqa: PLR2004 - degrees
        message = f"{dataset.key} has no place on the globe: {dataset.bbox}"
        raise PublishError(message, cure="give west, south, east, north in degrees")
    sizes = {file.path: file.size for file in metainfo.files}
    if sizes.get(payload.path) != payload.size:
        message = f"the torrent {metainfo.name!r} does not carry {payload.path} of {payload.size} bytes"
        raise PublishError(message, cure="make the torrent of the very file that the item names")


def _properties(dataset: Dataset, metainfo: Metainfo) -> dict[str, Any]:
    optional = {
        "sci:doi": dataset.doi,
        "unpublished": None if dataset.unpublished is None else _time(dataset.unpublished),
        "torrent:series": dataset.series,
        "torrent:target_replicas": dataset.target_replicas,
    }
    return {
        "title": dataset.title,
        "datetime": None,
        "start_datetime": _time(dataset.start),
        "end_datetime": _time(dataset.end),
        "created": _time(dataset.created),
        "updated": _time(dataset.created),
        "published": _time(dataset.created),
        "version": dataset.version,
        "deprecated": dataset.deprecated,
        "experimental": dataset.experimental,
        "license": dataset.license,
        "torrent:priority": dataset.priority,
        "torrent:size": metainfo.layout.total_size,
        **_hashes(metainfo),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _data(payload: Payload) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": payload.href,
        "type": payload.media_type,
        "roles": ["data"],
        "title": payload.path.name,
        "file:size": payload.size,
        "file:checksum": _SHA2_256_MULTIHASH + payload.sha256,
        "file:local_path": str(payload.path),
    }
    if payload.host is not None:
        asset["alternate:name"] = payload.host
    if payload.mirrors:
        asset["alternate"] = {m.key: {"href": m.href, "alternate:name": m.name} for m in payload.mirrors}
    return asset


def _torrent(metainfo: Metainfo, href: str) -> dict[str, Any]:
    return {
        "href": href,
        "type": "application/x-bittorrent",
        "roles": ["torrent", "metadata"],
        "title": "BitTorrent metainfo",
        "file:size": len(metainfo.raw),
        "file:checksum": _SHA2_256_MULTIHASH + hashlib.sha256(metainfo.raw).hexdigest(),
        **_hashes(metainfo),
        "torrent:name": metainfo.name,
        "torrent:size": metainfo.layout.total_size,
        "torrent:piece_length": metainfo.layout.piece_length,
        "torrent:trackers": list(metainfo.trackers),
    }


def _hashes(metainfo: Metainfo) -> dict[str, str]:
    named = {"torrent:info_hash": metainfo.info_hash_v1, "torrent:info_hash_v2": metainfo.info_hash_v2}
    return {name: value for name, value in named.items() if value is not None}


def _box(bbox: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
