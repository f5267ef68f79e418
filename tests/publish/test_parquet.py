"""A published file is whole or absent, and the same rows give the same bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from smartnode.errors import PublishError
from smartnode.publish.parquet import GeoColumn, copy, geo_metadata, workbench
from smartnode.publish.points import write_points


def points(path: Path, *, seed: int = 1, rows: int = 500) -> None:
    """Write a small points file."""
    random = np.random.default_rng(seed)
    write_points(
        path,
        lon=random.uniform(-120, -60, rows),
        lat=random.uniform(45, 60, rows),
        attributes={"code": random.integers(0, 1 << 62, rows), "depth": random.uniform(0, 9, rows)},
    )


def test_points_read_back_as_they_were_given(tmp_path: Path) -> None:
    """Every attribute and every place comes back, the WKB says the same as lon and lat, and the bbox covers it."""
    points(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    random = np.random.default_rng(1)
    assert table["lon"].to_numpy().tolist() == random.uniform(-120, -60, 500).tolist()
    for row in table.slice(0, 20).to_pylist():
        assert row["geometry"][:5] == b"\x01\x01\x00\x00\x00"
        assert np.frombuffer(row["geometry"][5:], "<f8").tolist() == [row["lon"], row["lat"]]
        assert row["bbox"] == {"xmin": row["lon"], "ymin": row["lat"], "xmax": row["lon"], "ymax": row["lat"]}


def test_geo_metadata_names_a_primary_wkb_column_and_its_extent(tmp_path: Path) -> None:
    """The ``geo`` value is GeoParquet 1.1: version, primary column, encoding, types, the extent of the data."""
    points(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    geo = json.loads(pq.read_metadata(tmp_path / "p.parquet").metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Point"]
    assert column["bbox"] == [lon.min(), lat.min(), lon.max(), lat.max()]
    assert column["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]


def test_no_extent_is_said_where_there_is_none() -> None:
    """A column without a place has no bbox in its metadata, not an invented one."""
    assert "bbox" not in json.loads(geo_metadata(GeoColumn(geometry_types=(), bbox=None)))["columns"]["geometry"]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """Two runs write one file; another seed writes another."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        points(tmp_path / name, seed=seed)
    a, b, c = (hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in "abc")
    assert a == b != c


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Until the new file is whole the old one stands; no scratch is left."""
    path = tmp_path / "p.parquet"
    path.write_bytes(b"old")

    def fail_late() -> None:
        with workbench(path) as (connection, unfinished):
            copy(connection, "SELECT 1 AS a", to=unfinished, metadata={})
            connection.execute("SELECT 'x'::INTEGER")

    with pytest.raises(PublishError, match=r"p\.parquet cannot be written"):
        fail_late()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_a_success_leaves_the_file_alone(tmp_path: Path) -> None:
    """The scratch folder goes once the file has its name."""
    points(tmp_path / "p.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_a_folder_that_is_not_there_is_a_publish_error(tmp_path: Path) -> None:
    """The file system's refusal leaves the room as PublishError with a cure."""
    with pytest.raises(PublishError, match="writable"):
        points(tmp_path / "absent" / "p.parquet")


def test_metadata_with_quotes_arrives_unchanged(tmp_path: Path) -> None:
    """Key-value metadata is text, never SQL."""
    path = tmp_path / "q.parquet"
    with workbench(path) as (connection, unfinished):
        copy(connection, "SELECT 1 AS a", to=unfinished, metadata={"it's": 'it\'s "so"'})
    assert pq.read_metadata(path).metadata[b"it's"] == b'it\'s "so"'


@pytest.mark.parametrize(
    ("lon", "lat", "attributes", "said"),
    [
        ([0.0, 1.0], [0.0], {}, "rows"),
        ([], [], {}, "rows"),
        ([0.0], [0.0], {"a": np.arange(2)}, "rows"),
        ([181.0], [0.0], {}, "globe"),
        ([0.0], [-91.0], {}, "globe"),
        ([float("nan")], [0.0], {}, "globe"),
        ([0.0], [0.0], {"geometry": np.arange(1)}, "geometry"),
    ],
)
def test_columns_that_are_no_points_are_refused(
    tmp_path: Path, lon: list[float], lat: list[float], attributes: dict[str, np.ndarray], said: str
) -> None:
    """Uneven columns, places off the globe and reserved names are PublishErrors; nothing is written."""
    with pytest.raises(PublishError, match=said):
        write_points(tmp_path / "p", lon=np.array(lon), lat=np.array(lat), attributes=attributes)
    assert list(tmp_path.iterdir()) == []
