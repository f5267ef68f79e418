"""A file that cannot be an honest Parquet catalogue is refused by its first and last bytes and its own footer,
before a page of it is read.

The footer may lie: what it hides still meets the memory, time and row limits of the reading process. It catches what
honest numbers give away: too many rows, rows that no file of that size can tell apart, columns that swell.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smartnode.catalogue.columns import literal
from smartnode.errors import CatalogueError

MAGIC = b"PAR1"
MAX_ROWS = 5_000_000
MAX_FOOTER_BYTES = 64 << 20
MAX_COLUMN_BYTES = 8 << 30
"""Uncompressed bytes of all columns that are read."""
SMALL_CHUNK_BYTES = 16 << 20
MAX_SWELL = 1000
"""Uncompressed to compressed bytes of one column chunk above SMALL_CHUNK_BYTES; a dictionary bomb reaches 15,000."""
FEW_ROWS = 100_000
MAX_ROWS_PER_BYTE = 10
MAX_VALUES_PER_ROW = 64
CURE = "ask the publisher for a STAC GeoParquet file, or check the address"
_TAIL = 8
_SMALLEST = 12


def check_head(head: bytes) -> None:
    """Refuse what does not begin as Parquet; CatalogueError says what it looks like instead."""
    if head.startswith(MAGIC):
        return
    begin = head.lstrip()[:1]
    if not head:
        kind = "an empty file"
    elif head.startswith(b"\x1f\x8b"):
        kind = "a gzip file"
    elif begin == b"<":
        kind = "an HTML or XML page"
    elif begin in {b"{", b"["}:
        kind = "JSON text"
    elif head.startswith(b"PARE"):
        kind = "an encrypted Parquet file"
    else:
        kind = "a file of another kind"
    message = f"not Parquet but {kind}"
    raise CatalogueError(message, cure=CURE)


def check_ends(file: Path) -> int:
    """Return the file's size in bytes; CatalogueError when it is not whole Parquet at both ends, or its footer is over
    the limit.
    """
    with file.open("rb") as stream:
        check_head(stream.read(_SMALLEST))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    if size < _SMALLEST or tail[4:] != MAGIC:
        message = f"the Parquet file is cut off after {size} bytes"
        raise CatalogueError(message, cure="fetch it again")
    (footer,) = struct.unpack("<I", tail[:4])
    if footer > size - _SMALLEST:
        message = f"the Parquet footer of {footer} bytes does not fit a file of {size}"
        raise CatalogueError(message, cure=CURE)
    if footer > MAX_FOOTER_BYTES:
        message = f"the Parquet footer of {footer} bytes is over the limit of {MAX_FOOTER_BYTES}"
        raise CatalogueError(message, cure=CURE)
    return size


def check_rows(connection: Any, name: str, size: int) -> int:
    """Return the rows that the footer of *name* (*size* bytes) claims; ValueError when it cannot hold them."""
    (rows,) = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [name]).fetchone()
    if not 0 <= rows <= MAX_ROWS:
        message = f"{rows} rows are over the limit of {MAX_ROWS}"
        raise ValueError(message)
    if rows > FEW_ROWS and rows > MAX_ROWS_PER_BYTE * size:
        message = f"{rows} rows in {size} bytes cannot all be different"
        raise ValueError(message)
    return int(rows)


def check_chunks(
    connection: Any, name: str, *, rows: int, read: Sequence[str], max_bytes: int = MAX_COLUMN_BYTES
) -> None:
    """Refuse, by ValueError, columns to be *read* that swell beyond the limits."""
    reads = " OR ".join(f"starts_with(path_in_schema || ', ', {literal(begin + ', ')})" for begin in read)
    found = connection.execute(
        f"""
        SELECT coalesce(sum(u), 0), max(v), max(CASE WHEN u > {SMALL_CHUNK_BYTES} THEN u / greatest(c, 1) END)
        FROM (
            SELECT sum(total_uncompressed_size::HUGEINT) AS u, sum(total_compressed_size::HUGEINT) AS c,
                   sum(num_values::HUGEINT) AS v
            FROM parquet_metadata(?) WHERE {reads} GROUP BY path_in_schema
        )
        """,  # noqa: S608 - our own constants, and names quoted by literal()
        [name],
    ).fetchone()
    column_bytes, values, swell = found
    if column_bytes > max_bytes:
        message = f"its columns expand to {column_bytes} bytes, over the limit of {max_bytes}"
        raise ValueError(message)
    if values is not None and values > MAX_VALUES_PER_ROW * max(rows, FEW_ROWS):
        message = f"one column holds {values} values for {rows} rows"
        raise ValueError(message)
    if swell is not None and swell > MAX_SWELL:
        message = f"one column expands {swell:.0f} times, over the limit of {MAX_SWELL}"
        raise ValueError(message)
