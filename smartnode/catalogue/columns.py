"""Only the columns that the row laws need are read, each cut to its limit inside DuckDB; geometry never is.

Writers differ, so the SELECT is built from the types that the file really has: a column may be absent or of type
"NULL", assets a struct, a MAP, a LIST of structs with a ``key``, or JSON text. A text over its limit arrives one
character too long, so that the law that judges the row can say so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from smartnode.catalogue.fields import FOLDER_NAME_MAX, LABEL_MAX
from smartnode.catalogue.row import MAX_TRACKERS, MAX_WEB_SEEDS, REGION
from smartnode.web.address import ADDRESS_MAX

JSON_MAX = 256 << 10
"""Characters of one row's assets as JSON text."""
ALTERNATE_KEYS_MAX = 256
HASH_MAX = 64
NUMBER_MAX = 64
PROPERTIES = {
    "id": FOLDER_NAME_MAX,
    "collection": FOLDER_NAME_MAX,
    "title": LABEL_MAX,
    "version": LABEL_MAX,
    "sci:doi": LABEL_MAX,
    "torrent:series": LABEL_MAX,
    "deprecated": NUMBER_MAX,
    "unpublished": NUMBER_MAX,
    "torrent:priority": NUMBER_MAX,
    "torrent:target_replicas": NUMBER_MAX,
}
TORRENT = {
    "torrent:info_hash": HASH_MAX,
    "torrent:info_hash_v2": HASH_MAX,
    "torrent:size": NUMBER_MAX,
    "torrent:piece_length": NUMBER_MAX,
    "torrent:name": LABEL_MAX,
    "torrent:trackers": ADDRESS_MAX,
}
PLACE = {"href": ADDRESS_MAX, REGION: LABEL_MAX}
WITNESSES = ("datetime", "start_datetime", "end_datetime", "created", "updated", "published", "expires", "license")
"""Decoded and not used: a torn page in one of them tells of a torn file."""
_TEXTS = frozenset({"varchar", "json", "enum", "uuid", "blob", "char"})
_NUMBERS = frozenset(
    f"{sign}{width}" for sign in ("", "u") for width in ("tinyint", "smallint", "integer", "bigint", "hugeint")
) | {"float", "double", "decimal", "boolean"}


class Decode(Enum):
    """How a fetched value becomes JSON-like."""

    PLAIN = "plain"
    JSON = "json"
    PAIRS = "pairs"  # a list of {key, href, region}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One expression of the SELECT and where its value stands in the row: *path* is a chain of keys, empty when the
    value is only decoded.
    """

    path: tuple[str, ...]
    sql: str
    decode: Decode = Decode.PLAIN


def columns_of(types: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return what to select from a file with these column types (DuckDB's); ValueError when assets are of no known
    shape.
    """
    found = [*_leaves((), {name: (quoted(name), kind) for name, kind in types.items()}, PROPERTIES | TORRENT)]
    if "bbox" in types:
        found += _bbox(types["bbox"])
    if "assets" in types:
        found += _assets(quoted("assets"), types["assets"])
    if witnesses := [quoted(name) for name in WITNESSES if name in types]:
        found.append(Column(path=(), sql=f"hash({', '.join(witnesses)})"))
    return tuple(found)


def chunks_read(types: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the beginnings of the Parquet paths that the SELECT reads, steps joined by ``, ``."""
    names = [name for name in (*PROPERTIES, *TORRENT, *WITNESSES, "bbox") if name in types]
    if "assets" in types and types["assets"].id == "struct":
        return (*names, "assets, data", "assets, torrent")
    return (*names, "assets")


def quoted(name: str) -> str:
    """Return *name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return *text* as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _leaves(
    path: tuple[str, ...], fields: Mapping[str, tuple[str, Any]], wanted: Mapping[str, int]
) -> Iterator[Column]:
    for name, limit in wanted.items():
        if name not in fields:
            continue
        expression, kind = fields[name]
        if name == "torrent:trackers":
            sql = _texts(expression, kind, limit)
        elif name == "unpublished":
            sql = _moment(expression, kind) or _leaf(expression, kind, limit)
        else:
            sql = _leaf(expression, kind, limit)
        if sql is not None:
            yield Column(path=(*path, name), sql=sql)


def _leaf(expression: str, kind: Any, limit: int) -> str | None:
    if kind.id in _TEXTS:
        return f"left({expression}::VARCHAR, {limit + 1})"
    if kind.id in _NUMBERS:
        return expression
    if kind.id == "date" or kind.id.startswith("timestamp"):
        return f"left({expression}::VARCHAR, {limit + 1})"
    return None


def _moment(expression: str, kind: Any) -> str | None:
    if kind.id != "date" and not kind.id.startswith("timestamp"):
        return None
    time = f"try_cast({expression} AS TIMESTAMPTZ)"
    return f"CASE WHEN isfinite({time}) THEN epoch_us({time}) END"


def _texts(expression: str, kind: Any, limit: int) -> str | None:
    if kind.id != "list" or dict(kind.children)["child"].id not in _TEXTS:
        return None
    return f"list_transform({expression}[1:{MAX_TRACKERS}], lambda x: left(x::VARCHAR, {limit + 1}))"


def _bbox(kind: Any) -> Iterator[Column]:
    if kind.id == "struct":
        for name, child in kind.children:
            if name in {"xmin", "ymin", "xmax", "ymax"} and child.id in _NUMBERS:
                yield Column(path=("bbox", name), sql=f'"bbox".{quoted(name)}')
    elif kind.id in {"list", "array"} and dict(kind.children)["child"].id in _NUMBERS:
        yield Column(path=("bbox",), sql='list_slice("bbox", 1, 7)')


def _assets(expression: str, kind: Any) -> Iterator[Column]:
    if kind.id == "null":
        return
    if kind.id in _TEXTS:
        yield Column(path=("assets",), sql=f"left({expression}::VARCHAR, {JSON_MAX + 1})", decode=Decode.JSON)
        return
    for key in ("data", "torrent"):
        if (asset := _entry(expression, kind, key)) is not None:
            yield from _asset(("assets", key), *asset)


def _entry(expression: str, kind: Any, key: str) -> tuple[str, Any] | None:
    """Return the expression and type of one entry of a struct, MAP or keyed LIST; None where there can be none."""
    children = dict(kind.children) if kind.id in {"struct", "map", "list"} else {}
    if kind.id == "struct":
        return (f"{expression}.{quoted(key)}", children[key]) if key in children else None
    if kind.id == "map" and children["key"].id in _TEXTS:
        return f"{expression}[{literal(key)}]", children["value"]
    if kind.id == "list" and children["child"].id == "struct" and "key" in dict(children["child"].children):
        return f'list_filter({expression}, lambda x: x."key" = {literal(key)})[1]', children["child"]
    message = f"the assets are of type {str(kind)[:80]}, which no known writer makes"
    raise ValueError(message)


def _asset(path: tuple[str, ...], expression: str, kind: Any) -> Iterator[Column]:
    if kind.id in _TEXTS:
        yield Column(path=path, sql=f"left({expression}::VARCHAR, {JSON_MAX + 1})", decode=Decode.JSON)
        return
    if kind.id != "struct":
        return
    fields = {name: (f"{expression}.{quoted(name)}", child) for name, child in kind.children}
    if path[-1] == "torrent":
        yield from _leaves(path, fields, {"href": ADDRESS_MAX} | TORRENT)
        return
    yield from _leaves(path, fields, PLACE)
    if "alternate" in fields:
        yield from _alternates((*path, "alternate"), *fields["alternate"])


def _alternates(path: tuple[str, ...], expression: str, kind: Any) -> Iterator[Column]:
    if kind.id in _TEXTS:
        yield Column(path=path, sql=f"left({expression}::VARCHAR, {JSON_MAX + 1})", decode=Decode.JSON)
    elif kind.id == "struct":
        for name, child in sorted(_printable(kind.children), key=lambda pair: pair[0])[:ALTERNATE_KEYS_MAX]:
            if child.id == "struct":
                fields = {key: (f"{expression}.{quoted(name)}.{quoted(key)}", leaf) for key, leaf in child.children}
                yield from _leaves((*path, name), fields, PLACE)
    elif kind.id == "map":
        value = dict(kind.children)["value"]
        if value.id == "struct" and "href" in dict(value.children):
            region = f"e.value.{quoted(REGION)}" if REGION in dict(value.children) else "NULL"
            found = {"key": ("e.key", 64), "href": ("e.value.href", ADDRESS_MAX + 1), REGION: (region, LABEL_MAX + 1)}
            leaves = (f"{literal(name)}: left({sql}::VARCHAR, {limit})" for name, (sql, limit) in found.items())
            pair = f"{{{', '.join(leaves)}}}"
            sql = f"list_transform(map_entries({expression})[1:{MAX_WEB_SEEDS}], lambda e: {pair})"
            yield Column(path=path, sql=sql, decode=Decode.PAIRS)


def _printable(children: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    return ((name, child) for name, child in children if name.isprintable())
