"""The demo's archive is real, fits its sizes, and is the same in every run."""

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pmtiles.reader import MmapSource, Reader, all_tiles

from smartnode.cli.demo.samples import RECIPES, Sample, sha256_of, write_sample, write_samples
from smartnode.cli.demo.tiles import png

MIB = 1 << 20


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    """Return the whole archive, written once."""
    return write_samples(tmp_path_factory.mktemp("archive"))


def test_sizes_are_those_of_the_contract(archive: tuple[Sample, ...]) -> None:
    """Each file has 1 to 64 MiB, and the largest more than 1.9 / 4 of all: no node of four could hold it."""
    sizes = [sample.size for sample in archive]
    assert sizes == [sample.path.stat().st_size for sample in archive]
    assert all(MIB <= size <= 64 * MIB for size in sizes)
    assert sizes[0] == max(sizes)
    assert sizes[0] > sum(sizes) * 1.9 / 4


def test_the_same_bytes_in_every_run(archive: tuple[Sample, ...], tmp_path: Path) -> None:
    """A second run writes the same files, and the recorded SHA-256 is that of the file."""
    for first, recipe in zip(archive[1:], RECIPES[1:], strict=True):
        assert write_sample(recipe, tmp_path).sha256 == first.sha256 == sha256_of(first.path)


def test_no_file_can_be_compressed_away(archive: tuple[Sample, ...]) -> None:
    """The first megabytes of every file keep more than four fifths of their size under zlib."""
    for sample in archive:
        with sample.path.open("rb") as file:
            head = file.read(2 * MIB)
        assert len(zlib.compress(head, level=1)) > 0.8 * len(head)


def test_points_are_geoparquet(archive: tuple[Sample, ...]) -> None:
    """Pyarrow reads them; the geo metadata names the geometry; all points lie within the item's bbox."""
    files = [sample for sample in archive if sample.path.suffix == ".parquet"]
    assert len(files) == 3
    for sample in files:
        geo = json.loads(pq.read_metadata(sample.path).metadata[b"geo"])
        assert geo["columns"][geo["primary_column"]]["encoding"] == "WKB"
        table = pq.read_table(sample.path, columns=["lon", "lat"])
        west, south, east, north = sample.bbox
        assert west <= table["lon"].to_numpy().min() <= table["lon"].to_numpy().max() <= east
        assert south <= table["lat"].to_numpy().min() <= table["lat"].to_numpy().max() <= north


def test_tiles_are_pmtiles_of_png(archive: tuple[Sample, ...]) -> None:
    """The pmtiles reader walks every archive; header and bbox agree; each tile is a PNG whose pixels inflate."""
    files = [sample for sample in archive if sample.path.suffix == ".pmtiles"]
    assert len(files) == 3
    for sample in files:
        with sample.path.open("rb") as file:
            source = MmapSource(file)
            header = Reader(source).header()
            tiles = list(all_tiles(source))
        assert header["addressed_tiles_count"] == len(tiles)
        west, south, east, north = sample.bbox
        assert header["min_lon_e7"] == round(west * 1e7)
        assert header["max_lat_e7"] == round(north * 1e7)
        assert west < east
        assert south < north
        for _, tile in tiles[:3]:
            assert tile.startswith(b"\x89PNG\r\n\x1a\n")
            assert len(zlib.decompress(tile[41:-16])) == 256 * (1 + 3 * 256)


def test_a_png_carries_valid_checksums() -> None:
    """Every chunk of a tile ends in the CRC of its type and body, the last one is IEND."""
    tile, at, kinds = png(np.random.default_rng(0)), 8, []
    while at < len(tile):
        length = int.from_bytes(tile[at : at + 4], "big")
        kinds.append(tile[at + 4 : at + 8])
        checksum = int.from_bytes(tile[at + 8 + length : at + 12 + length], "big")
        assert zlib.crc32(tile[at + 4 : at + 8 + length]) == checksum
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
