"""GeoJSON becomes WKB that says the same."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.errors import PublishError
from smartnode.publish.wkb import wkb

position = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)
line = st.lists(position, min_size=2, max_size=5)
polygon = st.lists(line, min_size=1, max_size=3)
geometries = st.one_of(
    st.tuples(st.just("Point"), position),
    st.tuples(st.just("LineString"), line),
    st.tuples(st.just("Polygon"), polygon),
    st.tuples(st.just("MultiPoint"), st.lists(position, max_size=4)),
    st.tuples(st.just("MultiLineString"), st.lists(line, max_size=3)),
    st.tuples(st.just("MultiPolygon"), st.lists(polygon, max_size=3)),
)
NAMES = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
DEPTH = {"Point": 0, "LineString": 1, "Polygon": 2}


def decode(raw: bytes, at: int = 0) -> tuple[str, Any, int]:
    """Read WKB with a reader of our own; returns type, coordinates and the next offset."""
    order, code = struct.unpack_from("<BI", raw, at)
    assert order == 1
    name, at = NAMES[code], at + 5
    if name in DEPTH:
        coordinates, at = positions(raw, at, DEPTH[name])
        return name, coordinates, at
    (count,) = struct.unpack_from("<I", raw, at)
    members, at = [], at + 4
    for _ in range(count):
        _, member, at = decode(raw, at)
        members.append(member)
    return name, members, at


def positions(raw: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Read nested positions."""
    if depth == 0:
        return list(struct.unpack_from("<dd", raw, at)), at + 16
    (count,) = struct.unpack_from("<I", raw, at)
    found, at = [], at + 4
    for _ in range(count):
        one, at = positions(raw, at, depth - 1)
        found.append(one)
    return found, at


@given(geometries)
def test_wkb_says_what_the_geometry_said(geometry: tuple[str, Any]) -> None:
    """Decoding gives type and coordinates back, and not a byte is left over."""
    name, coordinates = geometry
    raw = wkb({"type": name, "coordinates": coordinates})
    assert raw is not None
    assert decode(raw) == (name, coordinates, len(raw))


def test_null_stays_null_and_heights_are_left_out() -> None:
    """No geometry is not an empty one; a third coordinate does not change the two."""
    assert wkb(None) is None
    assert wkb({"type": "Point", "coordinates": [1, 2, 3]}) == wkb({"type": "Point", "coordinates": [1.0, 2.0]})


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "GeometryCollection", "coordinates": []},
        {"type": "Point"},
        {"coordinates": [1, 2]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": [1, float("nan")]},
        {"type": "Point", "coordinates": ["a", "b"]},
        {"type": "Polygon", "coordinates": [1, 2]},
        {"type": ["Point"], "coordinates": [1, 2]},
    ],
)
def test_what_is_no_geometry_is_a_publish_error(geometry: dict[str, Any]) -> None:
    """Unknown types and positions that are not numbers are refused with a cure."""
    with pytest.raises(PublishError):
        wkb(geometry)
