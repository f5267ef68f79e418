"""One pass over one catalogue file with DuckDB in its sandbox: every row is judged and counted, the chosen ones are
reported.

The sandbox is closed in this order: no extensions and no spilling at connect; then this one file alone may be read;
then nothing else of the outside; then the settings are locked. ``threads=1`` keeps file order and memory small.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from smartnode.catalogue.columns import JSON_MAX, Column, Decode, chunks_read, columns_of, literal
from smartnode.catalogue.footer import MAX_ROWS, check_chunks, check_rows
from smartnode.catalogue.row import REGION, TORRENT_FIELDS, judge
from smartnode.catalogue.selection import MAX_REJECTIONS, Picker, Selection
from smartnode.domain.catalogue import Item, Rejection

_BATCH = 512
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "400MB",
    "temp_directory": "",
    "max_temp_directory_size": "0B",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to read: the file *name* of *size* bytes in the working directory, and what to bring home."""

    name: str
    size: int
    selection: Selection
    allow_private: bool
    max_rows: int = MAX_ROWS


def scan(request: Request, emit: Emit) -> None:
    """Emit ``item`` and ``rejected`` lines and one ``end`` line with the counts; duckdb.Error or ValueError refuses
    the file.
    """
    with sandbox(request.name) as connection:
        claimed = check_rows(connection, request.name, request.size)
        table = f"read_parquet({literal(request.name)}, binary_as_string = true)"
        relation = connection.sql(f"SELECT * FROM {table}")  # noqa: S608 - the name is quoted
        types = dict(zip(relation.columns, relation.types, strict=True))
        columns = columns_of(types)
        check_chunks(connection, request.name, rows=claimed, read=chunks_read(types))
        selected = ", ".join(column.sql for column in columns) or "NULL"
        connection.execute(f"SELECT {selected} FROM {table}")  # noqa: S608 - quoted names, our own expressions
        _Pass(request, claimed, emit).run(_rows(connection, columns))


def sandbox(name: str) -> duckdb.DuckDBPyConnection:
    """Return a connection that can read the file *name* and nothing else."""
    connection = duckdb.connect(":memory:", config=_CONFIG)
    for setting in (
        "enable_progress_bar = false",
        "enable_geoparquet_conversion = false",
        "TimeZone = 'UTC'",
        f"allowed_paths = [{literal(name)}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


class _Pass:
    """The counts of one pass; each (collection, id) lives once, the first good row in file order."""

    def __init__(self, request: Request, claimed: int, emit: Emit) -> None:
        self._request, self._emit = request, emit
        self._picker = Picker(request.selection, claimed)
        self._seen: set[bytes] = set()
        self._without: list[tuple[int, dict[str, Any]]] = []
        self._counts = dict.fromkeys(("rows", "good", "with_torrent", "deprecated", "rejected"), 0)

    def run(self, rows: Iterator[dict[str, Any]]) -> None:
        """Judge every row, then say how many there were."""
        for number, raw in enumerate(rows):
            if number >= self._request.max_rows:  # the footer may have claimed fewer
                message = f"it holds more than {self._request.max_rows} rows"
                raise ValueError(message)
            self._counts["rows"] += 1
            match judge(raw, row=number, allow_private=self._request.allow_private):
                case Rejection() as rejection:
                    self._reject(rejection)
                case Item() as item:
                    self._take(number, raw, item)
        for number, raw in self._without[: self._picker.room]:
            self._emit({"item": number, "raw": raw})
        self._emit({"end": self._counts})

    def _take(self, number: int, raw: dict[str, Any], item: Item) -> None:
        key = hashlib.blake2b(f"{item.key.collection}/{item.key.id}".encode(), digest_size=12).digest()
        if key in self._seen:
            self._reject(Rejection(row=number, id=item.key.id, reason=f"is a second row with the id {item.key}"))
            return
        self._seen.add(key)
        self._counts["good"] += 1
        self._counts["deprecated"] += item.deprecated
        if item.torrent is None:
            if len(self._without) < self._request.selection.cap:
                self._without.append((number, raw))
            return
        self._counts["with_torrent"] += 1
        if self._picker.picks(item):
            self._emit({"item": number, "raw": raw})

    def _reject(self, rejection: Rejection) -> None:
        self._counts["rejected"] += 1
        if self._counts["rejected"] <= MAX_REJECTIONS:
            self._emit({"rejected": rejection.row, "id": rejection.id, "reason": rejection.reason})


def _rows(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    while batch := connection.fetchmany(_BATCH):
        for values in batch:
            raw: dict[str, Any] = {}
            for column, value in zip(columns, values, strict=False):
                if value is not None and column.path:
                    _place(raw, column, value)
            yield raw


def _place(raw: dict[str, Any], column: Column, value: Any) -> None:
    at = raw
    for step in column.path[:-1]:
        at = at.setdefault(step, {})
    at[column.path[-1]] = _decoded(column, value)


def _decoded(column: Column, value: Any) -> Any:
    match column.decode:
        case Decode.PLAIN:
            if isinstance(value, Decimal):
                return int(value) if value == value.to_integral_value() else float(value)
            return value
        case Decode.PAIRS:
            return {str(pair["key"]): _place_of(pair) for pair in value if pair is not None}
        case Decode.JSON:
            return trimmed(value, column.path)


def trimmed(text: str, path: tuple[str, ...]) -> Any:
    """Return the parts of JSON text that the row laws read; text that is not JSON, or too long, comes back as text."""
    if len(text) > JSON_MAX:
        return text[:80]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text[:80]
    if value is None or not isinstance(value, dict):
        return value if value is None else text[:80]
    if path == ("assets",):
        return {key: _trimmed_asset(value[key], key) for key in ("data", "torrent") if value.get(key) is not None}
    return _trimmed_alternates(value) if path[-1] == "alternate" else _trimmed_asset(value, path[-1])


def _trimmed_asset(asset: Any, key: str) -> Any:
    if not isinstance(asset, dict):
        return str(type(asset).__name__)
    if key == "torrent":
        return {name: asset[name] for name in TORRENT_FIELDS if name in asset}
    alternate = asset.get("alternate")
    return _place_of(asset) | {"alternate": _trimmed_alternates(alternate) if alternate else None}


def _trimmed_alternates(alternate: Any) -> Any:
    if not isinstance(alternate, dict):
        return None
    return {key: _place_of(other) for key, other in alternate.items() if isinstance(other, dict)}


def _place_of(asset: dict[str, Any]) -> dict[str, Any]:
    """Return where an asset is, and in which region if that is stated."""
    region = asset.get(REGION)
    return {"href": asset.get("href")} | ({} if region is None else {REGION: region})
