"""Sample imagery: a PMTiles archive of PNG tiles that any viewer opens, the same bytes for the same seed.

The pixels are seeded noise, so the archive cannot be compressed away: what the nodes move is what the file weighs.
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import write

TILE_PIXELS = 256
_CHANNELS = 3  # RGB
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = struct.pack(">IIBBBBB", TILE_PIXELS, TILE_PIXELS, 8, 2, 0, 0, 0)
_ROW_BYTES = 1 + TILE_PIXELS * _CHANNELS  # filter byte 0, then the pixels
_E7 = 10_000_000


def write_tiles(
    path: Path, *, name: str, tiles: int, seed: int, zoom: int, corner: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Write *tiles* PNG tiles of *zoom* in a block that starts at *corner* (x, y of its north-west tile); returns the
    bounds (west, south, east, north) in degrees.
    """
    side = math.isqrt(tiles - 1) + 1
    places = [(corner[0] + index % side, corner[1] + index // side) for index in range(tiles)]
    ordered = sorted(zxy_to_tileid(zoom, x, y) for x, y in places)
    west, north = _degrees(zoom, min(x for x, _ in places), min(y for _, y in places))
    east, south = _degrees(zoom, max(x for x, _ in places) + 1, max(y for _, y in places) + 1)
    noise = np.random.default_rng(seed)
    with write(path) as writer:
        for tile in ordered:
            writer.write_tile(tile, png(noise))
        header = {
            "tile_type": TileType.PNG,
            "tile_compression": Compression.NONE,
            "min_lon_e7": round(west * _E7),
            "min_lat_e7": round(south * _E7),
            "max_lon_e7": round(east * _E7),
            "max_lat_e7": round(north * _E7),
        }
        writer.finalize(header, {"name": name, "type": "baselayer", "attribution": "smartnode demo, made-up data"})
    return west, south, east, north


def png(noise: np.random.Generator) -> bytes:
    """Return one RGB tile of noise, stored without compression."""
    rows = np.zeros((TILE_PIXELS, _ROW_BYTES), dtype=np.uint8)
    rows[:, 1:] = noise.integers(0, 256, size=(TILE_PIXELS, _ROW_BYTES - 1), dtype=np.uint8)
    pixels = zlib.compress(rows.tobytes(), level=0)
    return _PNG_SIGNATURE + _chunk(b"IHDR", _PNG_HEAD) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _degrees(zoom: int, x: int, y: int) -> tuple[float, float]:
    """Longitude and latitude of the north-west corner of a web Mercator tile."""
    count = 1 << zoom
    return x / count * 360 - 180, math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / count))))
