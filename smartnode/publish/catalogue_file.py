"""The catalogue file: STAC items as STAC GeoParquet, one row per item in the order given, properties as columns.

Laws: a (collection, id) stands once; times are TIMESTAMPTZ columns; ``assets`` is one struct, the union of all keys,
and an asset that an item lacks is null; a file is written whole or not at all (smartnode.publish.parquet).
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smartnode.errors import PublishError
from smartnode.publish.parquet import GeoColumn, copy, geo_metadata, workbench
from smartnode.publish.shape import Shape, settled, shape_of, union
from smartnode.publish.wkb import wkb

STAC_GEOPARQUET_VERSION = "1.1.0"
TIMES = (
    "datetime",
    "start_datetime",
    "end_datetime",
    "created",
    "updated",
    "published",
    "expires",
    "unpublished",
)
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_LINKS: Shape = [{"href": "VARCHAR", "rel": "VARCHAR", "title": "VARCHAR", "type": "VARCHAR"}]
# What every file has, even when all its items leave it null or empty.
_ALWAYS: dict[str, Shape] = {
    "type": "VARCHAR",
    "stac_version": "VARCHAR",
    "stac_extensions": ["VARCHAR"],
    "id": "VARCHAR",
    "collection": "VARCHAR",
    "bbox": dict.fromkeys(_EDGES, "DOUBLE"),
    "links": _LINKS,
}
_LENGTHS_OF_BBOX = (4, 6)


def write_catalogue(items: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write *items* (STAC Item objects as in JSON) to *path*; PublishError names the item that cannot be published."""
    if not items:
        message = "a catalogue without an item is not written"
        raise PublishError(message, cure="name at least one item")
    rows = [_row(item) for item in items]
    twice = [key for key, times in Counter((row.get("collection"), row["id"]) for row in rows).items() if times > 1]
    if twice:
        message = f"item {twice[0][1]!r} of collection {twice[0][0]!r} stands more than once"
        raise PublishError(message, cure="give each version its own id")
    shape = _shape(rows)
    places = [wkb(item.get("geometry")) for item in items]
    column = GeoColumn(
        geometry_types=tuple(sorted({item["geometry"]["type"] for item in items if item.get("geometry")})),
        bbox=_extent(rows),
    )
    metadata = {
        "geo": geo_metadata(column),
        "stac-geoparquet": json.dumps({"version": STAC_GEOPARQUET_VERSION}, separators=(",", ":")),
    }
    with workbench(path) as (connection, unfinished):
        structure = json.dumps(shape).replace("'", "''")
        connection.execute("CREATE TABLE source (row_number BIGINT, item JSON, geometry BLOB)")
        connection.executemany(
            "INSERT INTO source VALUES (?, ?, ?)",
            [[number, json.dumps(row), place] for number, (row, place) in enumerate(zip(rows, places, strict=True))],
        )
        rows_as_structs = f"SELECT row_number, geometry, json_transform(item, '{structure}') AS item FROM source"  # noqa: S608 - quoted above
        query = f"SELECT {_columns(shape)} FROM ({rows_as_structs}) ORDER BY row_number"  # noqa: S608 - names are quoted
        copy(connection, query, to=unfinished, metadata=metadata)


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    identity = item.get("id")
    if not isinstance(identity, str) or not identity:
        message = f"an item without an id: {json.dumps(item, default=str)[:120]}"
        raise PublishError(message, cure="every STAC item has an id")
    properties, assets = item.get("properties"), item.get("assets")
    if item.get("type") != "Feature" or not isinstance(properties, Mapping) or not isinstance(assets, Mapping):
        message = f"{identity} is not a STAC item"
        raise PublishError(message, cure="it needs type Feature, properties and assets")
    top = {name: item.get(name) for name in ("type", "stac_version", "stac_extensions", "id", "collection", "links")}
    if clash := {*top, "bbox", "geometry", "assets"} & properties.keys():
        message = f"{identity} has the properties {sorted(clash)}, which are names of the item itself"
        raise PublishError(message, cure="rename them")
    hoisted = {name: _utc(value, name, identity) if name in TIMES else value for name, value in properties.items()}
    return {**top, "bbox": _bbox(item, identity), **hoisted, "assets": dict(assets)}


def _utc(value: Any, name: str, identity: str) -> str | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        message = f"{name} of {identity} is not an RFC 3339 time: {value!r}"
        raise PublishError(message, cure="write 2026-01-31T12:00:00Z") from error
    if at.tzinfo is None:
        message = f"{name} of {identity} has no time zone: {value!r}"
        raise PublishError(message, cure="write 2026-01-31T12:00:00Z")
    return at.astimezone(UTC).isoformat()


def _bbox(item: Mapping[str, Any], identity: str) -> dict[str, float] | None:
    if item.get("geometry") is None:
        return None
    corners = item.get("bbox")
    if not isinstance(corners, Sequence) or len(corners) not in _LENGTHS_OF_BBOX or not all(map(_is_number, corners)):
        message = f"{identity} has a geometry and no bbox of four or six numbers"
        raise PublishError(message, cure="give west, south, east, north")
    half = len(corners) // 2
    return dict(zip(_EDGES, (float(c) for c in (*corners[:2], *corners[half : half + 2])), strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _extent(rows: Iterable[Mapping[str, Any]]) -> tuple[float, float, float, float] | None:
    boxes = [row["bbox"] for row in rows if row["bbox"] is not None]
    if not boxes:
        return None
    west, south = (min(box[edge] for box in boxes) for edge in _EDGES[:2])
    east, north = (max(box[edge] for box in boxes) for edge in _EDGES[2:])
    return west, south, east, north


def _shape(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seen: Shape | None = {**_ALWAYS, **dict.fromkeys(("datetime",), "VARCHAR")}
    for row in rows:
        seen = union(seen, shape_of(row, where=str(row["id"])), where="item")
    found = settled(seen)
    assert isinstance(found, dict)
    found["bbox"] = _ALWAYS["bbox"]  # in the order that readers expect
    order = {name: place for place, name in enumerate((*_ALWAYS, "assets", *TIMES))}
    return {name: found[name] for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))}


def _columns(shape: Mapping[str, Any]) -> str:
    chosen = []
    for name in shape:
        quoted = '"' + name.replace('"', '""') + '"'
        value = f"item.{quoted}::TIMESTAMPTZ" if name in TIMES else f"item.{quoted}"
        chosen.append(f"{value} AS {quoted}")
    return ", ".join([*chosen, "geometry"])
