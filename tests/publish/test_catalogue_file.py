"""The catalogue file holds every item as it was given, in the form of STAC GeoParquet."""

import copy
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.errors import PublishError
from smartnode.publish.catalogue_file import TIMES, write_catalogue

DATA = Path(__file__).parent.parent / "data"
EXAMPLE: dict[str, Any] = json.loads((DATA / "example_item.json").read_text())
REAL: list[dict[str, Any]] = json.loads((DATA / "items.json").read_text())


def without_null(value: Any) -> Any:
    """Leave out what Parquet's union of keys added."""
    match value:
        case dict():
            kept = {key: without_null(inner) for key, inner in value.items()}
            return {key: inner for key, inner in kept.items() if inner not in (None, {})}
        case list() | tuple():
            return [without_null(inner) for inner in value]
        case _:
            return value


def as_item(row: dict[str, Any]) -> dict[str, Any]:
    """Put a row back into the form of a STAC Item, without geometry."""
    top = {"type", "stac_version", "stac_extensions", "id", "collection", "links", "assets", "bbox", "geometry"}
    properties = {key: value for key, value in row.items() if key not in top}
    for name in TIMES:
        if properties.get(name) is not None:
            properties[name] = properties[name].strftime("%Y-%m-%dT%H:%M:%SZ")
    box = row["bbox"]
    item = {key: row[key] for key in top - {"bbox", "geometry"}} | {"properties": properties}
    return item | ({} if box is None else {"bbox": [box["xmin"], box["ymin"], box["xmax"], box["ymax"]]})


def test_real_items_come_back_as_they_were(tmp_path: Path) -> None:
    """The eleven real items, of which two have no torrent, read back key by key and value by value."""
    write_catalogue(REAL, tmp_path / "c.parquet")
    rows = pq.read_table(tmp_path / "c.parquet").to_pylist()
    assert [row["id"] for row in rows] == [item["id"] for item in REAL]
    for row, item in zip(rows, REAL, strict=True):
        expected = {key: value for key, value in item.items() if key != "geometry"}
        assert without_null(as_item(row)) == without_null(expected)


def test_an_absent_asset_is_null_and_assets_are_one_struct(tmp_path: Path) -> None:
    """``assets`` is the union of all keys; an item without the asset ``torrent`` has null there."""
    bare = copy.deepcopy(EXAMPLE) | {"id": "bare"}
    del bare["assets"]["torrent"]
    write_catalogue([EXAMPLE, bare], tmp_path / "c.parquet")
    table = pq.read_table(tmp_path / "c.parquet")
    assert pa.types.is_struct(table.schema.field("assets").type)
    first, second = table["assets"].to_pylist()
    assert first["torrent"]["torrent:info_hash"] == EXAMPLE["assets"]["torrent"]["torrent:info_hash"]
    assert second["torrent"] is None


def test_times_are_instants_in_utc(tmp_path: Path) -> None:
    """A time with an offset is the same instant; ``datetime`` is a time column even where every item leaves it null."""
    item = copy.deepcopy(EXAMPLE)
    item["properties"]["created"] = "2026-02-07T12:26:00-04:00"
    write_catalogue([item], tmp_path / "c.parquet")
    table = pq.read_table(tmp_path / "c.parquet")
    for name in ("datetime", "created"):
        assert table.schema.field(name).type == pa.timestamp("us", tz="UTC")
    assert table["created"].to_pylist()[0].astimezone(UTC) == datetime(2026, 2, 7, 16, 26, tzinfo=UTC)
    assert table["datetime"].to_pylist() == [None]


def test_geo_metadata_covers_all_items(tmp_path: Path) -> None:
    """Types and extent are those of all rows; an item without a place has a null geometry and a null bbox."""
    point = copy.deepcopy(EXAMPLE) | {
        "id": "point",
        "geometry": {"type": "Point", "coordinates": [-60, 45, 3]},
        "bbox": [-60, 45, 3, -60, 45, 3],
    }
    nowhere = copy.deepcopy(EXAMPLE) | {"id": "nowhere", "geometry": None}
    write_catalogue([EXAMPLE, point, nowhere], tmp_path / "c.parquet")
    metadata = pq.read_metadata(tmp_path / "c.parquet").metadata
    column = json.loads(metadata[b"geo"])["columns"]["geometry"]
    west, south, _, north = EXAMPLE["bbox"]
    assert column["geometry_types"] == ["Point", "Polygon"]
    assert column["bbox"] == [west, min(south, 45), -60, max(north, 45)]
    assert json.loads(metadata[b"stac-geoparquet"]) == {"version": "1.1.0"}
    last = pq.read_table(tmp_path / "c.parquet").to_pylist()[2]
    assert last["geometry"] is None
    assert last["bbox"] is None


def test_the_same_items_give_the_same_bytes(tmp_path: Path) -> None:
    """Bytes depend on the items alone, not on the order of keys; the order of items is kept."""
    turned = [json.loads(json.dumps(dict(reversed(item.items())))) for item in REAL]
    for name, items in (("a", REAL), ("b", turned), ("c", REAL[::-1])):
        write_catalogue(items, tmp_path / name)
    a, b, c = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in "abc")
    assert a == b != c


def test_hostile_names_and_texts_are_data(tmp_path: Path) -> None:
    """Quotes in keys and values neither end a string nor a name."""
    item = copy.deepcopy(EXAMPLE) | {"id": "it's\"; DROP TABLE source; --"}
    item["properties"]["a'b\"c"] = "d'e\"f"
    write_catalogue([item], tmp_path / "c.parquet")
    row = pq.read_table(tmp_path / "c.parquet").to_pylist()[0]
    assert row["id"] == item["id"]
    assert row["a'b\"c"] == "d'e\"f"


def broken(**change: Any) -> dict[str, Any]:
    """Return the example item with top-level keys replaced; properties are added to."""
    item = copy.deepcopy(EXAMPLE)
    item["properties"].update(change.pop("properties", {}))
    return item | change


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "without an item"),
        ([EXAMPLE, EXAMPLE], "more than once"),
        ([broken(id="")], "without an id"),
        ([broken(id=None)], "without an id"),
        ([broken(type="Catalog")], "not a STAC item"),
        ([broken(assets=None)], "not a STAC item"),
        ([broken(bbox=None)], "no bbox"),
        ([broken(bbox=[1, 2, 3])], "no bbox"),
        ([broken(bbox=["a", 2, 3, 4])], "bbox"),
        ([broken(geometry={"type": "Blob", "coordinates": []})], "Blob"),
        ([broken(properties={"created": "yesterday"})], "RFC 3339"),
        ([broken(properties={"created": 5})], "RFC 3339"),
        ([broken(properties={"created": "2026-01-01T00:00:00"})], "time zone"),
        ([broken(properties={"assets": {}})], "names of the item itself"),
        ([broken(properties={"Title": "x"})], "written"),
        ([EXAMPLE, broken(id="b", properties={"title": 5})], "title is text in one item and a number in another"),
        ([broken(properties={"x": 1 << 64})], "64-bit"),
    ],
)
def test_what_cannot_be_published_is_named_and_nothing_is_written(
    tmp_path: Path, items: list[dict[str, Any]], said: str
) -> None:
    """Every refusal is a PublishError that names the cause; no file and no scratch is left."""
    with pytest.raises(PublishError, match=said):
        write_catalogue(items, tmp_path / "c.parquet")
    assert list(tmp_path.iterdir()) == []
