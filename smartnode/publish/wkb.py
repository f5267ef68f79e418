"""GeoJSON geometries as ISO WKB, little-endian, two dimensions: heights are left out, a null geometry stays null."""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from smartnode.errors import PublishError

# GeoJSON type: (WKB code, how deep its positions are nested, code of its members for the Multi* types)
_TYPES: dict[str, tuple[int, int, str | None]] = {
    "Point": (1, 0, None),
    "LineString": (2, 1, None),
    "Polygon": (3, 2, None),
    "MultiPoint": (4, 1, "Point"),
    "MultiLineString": (5, 2, "LineString"),
    "MultiPolygon": (6, 3, "Polygon"),
}
_MIN_DIMENSIONS = 2


def wkb(geometry: Mapping[str, Any] | None) -> bytes | None:
    """Return *geometry* (RFC 7946) as WKB, None for null; PublishError for a type or a position that is not one."""
    if geometry is None:
        return None
    try:
        name, coordinates = geometry["type"], geometry["coordinates"]
        if name not in _TYPES:
            message = f"geometry type {name!r} is not published"
            raise PublishError(message, cure=f"use one of {', '.join(_TYPES)}")
        return _encode(name, coordinates)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        message = f"not a GeoJSON geometry: {error}"
        raise PublishError(message, cure="see RFC 7946") from error


def _encode(name: str, coordinates: Sequence[Any]) -> bytes:
    code, depth, member = _TYPES[name]
    head = struct.pack("<BI", 1, code)
    if member is not None:
        return head + struct.pack("<I", len(coordinates)) + b"".join(_encode(member, c) for c in coordinates)
    return head + _positions(coordinates, depth)


def _positions(coordinates: Sequence[Any], depth: int) -> bytes:
    if depth:
        return struct.pack("<I", len(coordinates)) + b"".join(_positions(c, depth - 1) for c in coordinates)
    if len(coordinates) < _MIN_DIMENSIONS or not all(math.isfinite(c) for c in coordinates):
        message = f"a position is two or more finite numbers, not {coordinates!r}"
        raise ValueError(message)
    return struct.pack("<dd", float(coordinates[0]), float(coordinates[1]))
