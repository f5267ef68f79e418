"""JSON values that stand in one column have one type: the union of their keys, never a guess and never text in place
of a struct.

A shape is what DuckDB's ``json_transform`` takes: a type name, a list of one shape, or a mapping of key to shape.
None: nothing but null was seen.
"""

import math
from collections.abc import Mapping
from typing import Any

from smartnode.errors import PublishError

Shape = str | list[Any] | dict[str, Any]

_SCALARS: dict[type, Shape | None] = {type(None): None, bool: "BOOLEAN", str: "VARCHAR"}
_INT64 = range(-(1 << 63), 1 << 63)
_NUMBERS = frozenset({"BIGINT", "DOUBLE"})
MAX_DEPTH = 16


def shape_of(value: Any, *, where: str, depth: int = MAX_DEPTH) -> Shape | None:
    """Return the shape of one JSON value; *where* names it in the PublishError for what Parquet cannot carry."""
    if depth == 0:
        message = f"{where} is nested deeper than {MAX_DEPTH} levels"
        raise PublishError(message)
    match value:
        case None | bool() | str():
            return _SCALARS[type(value)]
        case int() if value in _INT64:
            return "BIGINT"
        case float() if math.isfinite(value):
            return "DOUBLE"
        case list() | tuple():
            inner: Shape | None = None
            for element in value:
                inner = union(inner, shape_of(element, where=f"{where}[]", depth=depth - 1), where=f"{where}[]")
            return [inner]
        case Mapping():
            fields = {str(k): shape_of(v, where=f"{where}.{k}", depth=depth - 1) for k, v in sorted(value.items())}
            return {key: inner for key, inner in fields.items() if inner is not None}
        case _:
            message = f"{where} holds {str(value)[:40]!r}, which is neither JSON nor a 64-bit number"
            raise PublishError(message)


def union(left: Shape | None, right: Shape | None, *, where: str) -> Shape | None:
    """Return the shape that holds both, keys in sorted order; PublishError when there is none."""
    match left, right:
        case (None, only) | (only, None):
            return only
        case str(), str() if left == right:
            return left
        case str(), str() if {left, right} == _NUMBERS:
            return "DOUBLE"
        case list(), list():
            return [union(left[0], right[0], where=f"{where}[]")]
        case dict(), dict():
            keys = sorted(left.keys() | right.keys())
            return {key: union(left.get(key), right.get(key), where=f"{where}.{key}") for key in keys}
        case _:
            message = f"{where} is {_word(left)} in one item and {_word(right)} in another"
            raise PublishError(message, cure="give it one type in all items")


def settled(shape: Shape | None) -> Shape | None:
    """Return *shape* as DuckDB takes it: structs without keys fall away, lists that were always empty hold text."""
    match shape:
        case dict():
            fields = {key: settled(inner) for key, inner in shape.items()}
            return {key: inner for key, inner in fields.items() if inner is not None} or None
        case list():
            return [settled(shape[0]) or "VARCHAR"]
        case _:
            return shape


def _word(shape: Shape | None) -> str:
    match shape:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return {"BOOLEAN": "true or false", "VARCHAR": "text"}.get(str(shape), "a number")
