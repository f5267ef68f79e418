"""The demo's archive: made-up geospatial files of 1 to 64 MiB in real formats, the same bytes in every run.

The largest is more than half of the archive, so that no node of four or more can hold it whole
(smartnode.cli.demo.network gives each node less than half).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smartnode.cli.demo.tiles import write_tiles
from smartnode.domain.pieces import Bytes
from smartnode.publish.points import write_points

_HASH_CHUNK = 1 << 20

BBox = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file on disk; *sha256* in hex is what the proof compares with; *bbox* is (west, south, east, north)."""

    id: str
    title: str
    media_type: str
    path: Path
    size: Bytes
    sha256: str
    bbox: BBox


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one sample is made: *write* makes the file at a path and returns its bounds."""

    id: str
    title: str
    suffix: str
    media_type: str
    write: Callable[[Path], BBox]


def _imagery(name: str, title: str, *, tiles: int, seed: int, zoom: int, corner: tuple[int, int]) -> Recipe:
    def make(path: Path) -> BBox:
        return write_tiles(path, name=title, tiles=tiles, seed=seed, zoom=zoom, corner=corner)

    return Recipe(id=name, title=title, suffix=".pmtiles", media_type="application/vnd.pmtiles", write=make)


def _points(name: str, title: str, *, rows: int, seed: int, bbox: BBox) -> Recipe:
    def make(path: Path) -> BBox:
        west, south, east, north = bbox
        random = np.random.default_rng(seed)
        lon, lat = random.uniform(west, east, rows), random.uniform(south, north, rows)
        attributes = {
            "feature": np.arange(rows, dtype=np.int64),
            "elevation_m": random.uniform(0, 2000, rows),
            "code": random.integers(0, 1 << 62, rows, dtype=np.int64),
        }
        write_points(path, lon=lon, lat=lat, attributes=attributes)
        return bbox

    return Recipe(id=name, title=title, suffix=".parquet", media_type="application/vnd.apache.parquet", write=make)


RECIPES = (
    _imagery("demo-orthoimagery", "Orthoimagery (made up)", tiles=338, seed=1, zoom=13, corner=(2390, 2940)),
    _points("demo-address-points", "Address points (made up)", rows=320_000, seed=2, bbox=(-79.6, 43.5, -79.1, 43.9)),
    _imagery("demo-land-cover", "Land cover (made up)", tiles=85, seed=3, zoom=8, corner=(60, 82)),
    _points("demo-buildings", "Building centroids (made up)", rows=107_000, seed=4, bbox=(-123.3, 49.0, -122.5, 49.4)),
    _imagery("demo-elevation", "Elevation (made up)", tiles=21, seed=5, zoom=7, corner=(36, 40)),
    _points("demo-stations", "Stations (made up)", rows=15_000, seed=6, bbox=(-114.3, 50.8, -113.8, 51.2)),
)


def write_samples(folder: Path) -> tuple[Sample, ...]:
    """Write the whole archive into *folder*, largest file first."""
    return tuple(write_sample(recipe, folder) for recipe in RECIPES)


def write_sample(recipe: Recipe, folder: Path) -> Sample:
    """Write one sample into *folder*."""
    path = folder / f"{recipe.id}{recipe.suffix}"
    bbox = recipe.write(path)
    return Sample(
        id=recipe.id,
        title=recipe.title,
        media_type=recipe.media_type,
        path=path,
        size=Bytes(path.stat().st_size),
        sha256=sha256_of(path),
        bbox=bbox,
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
