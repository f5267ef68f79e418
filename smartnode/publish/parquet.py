"""A published Parquet file appears whole and durable under its name, or not at all; the same rows give the same bytes.

DuckDB runs on one thread, keeps the order of the rows, loads no extension and reaches for nothing outside: it spills
into a scratch folder beside the file, which is gone when the writer returns.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from smartnode.errors import PublishError

MEMORY_LIMIT = "512MiB"
SPILL_LIMIT = "4GiB"
GEOPARQUET_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoColumn:
    """What the ``geo`` metadata says of the WKB column *name*: its GeoJSON types and its extent (west, south, east,
    north) in CRS84 degrees, None when no row has a place. The file also has a struct column ``bbox``.
    """

    name: str = "geometry"
    geometry_types: tuple[str, ...]
    bbox: tuple[float, float, float, float] | None


@contextlib.contextmanager
def workbench(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Yield an empty DuckDB and the temporary file to write, both in a scratch folder beside *path*; when the body
    ends well the temporary file becomes *path* durably. PublishError for whatever DuckDB or the file system refuses.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".publish-", dir=path.parent) as folder:
            scratch = Path(folder)
            unfinished = scratch / "unfinished.parquet"
            with _connect(scratch) as connection:
                yield connection, unfinished
            _become(unfinished, path)
    except duckdb.Error as error:
        message = f"{path.name} cannot be written as Parquet: {str(error).splitlines()[0]}"
        raise PublishError(message, cure="check the values of the items") from error
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise PublishError(message, cure="check that the folder exists, is writable and has room") from error


def copy(connection: duckdb.DuckDBPyConnection, query: str, *, to: Path, metadata: Mapping[str, str]) -> None:
    """Write the rows of *query* to the file *to* with the key-value *metadata*, zstd-compressed."""
    pairs = ", ".join(f"{_quoted(key)}: {_quoted(value)}" for key, value in metadata.items())
    connection.execute(
        f"COPY ({query}) TO {_quoted(str(to))} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{pairs}}})"
    )


def geo_metadata(column: GeoColumn) -> str:
    """Return the ``geo`` value of GeoParquet 1.1: WKB in CRS84 (the default CRS), covered by the ``bbox`` struct."""
    described: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(column.geometry_types),
        "covering": {"bbox": {edge: ["bbox", edge] for edge in ("xmin", "ymin", "xmax", "ymax")}},
    }
    if column.bbox is not None:
        described["bbox"] = list(column.bbox)
    whole = {"version": GEOPARQUET_VERSION, "primary_column": column.name, "columns": {column.name: described}}
    return json.dumps(whole, separators=(",", ":"))


def _connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "preserve_insertion_order": True,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(scratch / "spill"),
            "max_temp_directory_size": SPILL_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )


def _become(unfinished: Path, path: Path) -> None:
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
