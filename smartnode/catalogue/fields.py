"""One value of a row becomes one typed value or a ValueError with the reason; a hint that cannot be read is no hint.

Writers differ: whole numbers may come as floats (a column with nulls), truth as text, times as text or as
microseconds since 1970. Text is never taken for a number.
"""

import math
from datetime import UTC, datetime, timedelta

from smartnode.domain.identity import InfoHash, info_hash
from smartnode.web.address import hidden_character, shown

FOLDER_NAME_MAX = 240
"""Bytes of UTF-8: ids and collections name folders (255 at most), and the id's carries nine more for the info-hash."""
LABEL_MAX = 512
_EXACT = 1 << 53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEX = frozenset("0123456789abcdef")


def described(value: object) -> str:
    """Return what stands there, fit for one line: text and numbers as they are, of anything else the kind only."""
    match value:
        case str():
            return shown(value)
        case bool() | float():
            return repr(value)
        case int():
            return str(value) if abs(value) < _EXACT else f"a number of {value.bit_length()} bits"
        case _:
            return f"a {type(value).__name__}"


def folder_name(value: object) -> str:
    """Return an id that can stand as a folder's name; ValueError otherwise."""
    if value is None:
        message = "is missing"
        raise ValueError(message)
    if not isinstance(value, str):
        message = f"is not text: {described(value)}"
        raise ValueError(message)  # noqa: TRY004 - a row's fault is a value, not a programmer's type
    if not value.strip():
        message = "is empty"
        raise ValueError(message)
    if len(value) > FOLDER_NAME_MAX or len(value.encode("utf-8", "surrogatepass")) > FOLDER_NAME_MAX:
        message = f"is over {FOLDER_NAME_MAX} bytes: {shown(value)}"
        raise ValueError(message)
    if hidden := hidden_character(value):
        message = f"holds the hidden character {hidden}: {shown(value)}"
        raise ValueError(message)
    if "/" in value or "\\" in value or value.startswith("."):
        message = f"could leave its folder: {shown(value)}"
        raise ValueError(message)
    return value


def whole(value: object) -> int:
    """Return a whole number, also from a float that is one exactly; ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    message = f"is not a whole number: {described(value)}"
    raise ValueError(message)


def hint(value: object, *, low: int, high: int) -> int | None:
    """Return a whole number moved into *low* to *high*, None when it is not one: advice never costs a dataset."""
    try:
        return min(max(whole(value), low), high)
    except ValueError:
        return None


def hash_v1(value: object) -> InfoHash:
    """Return 40 hex digits in lower case; ValueError otherwise."""
    if isinstance(value, str):
        try:
            return info_hash(value)
        except ValueError:
            pass
    message = f"is not 40 hex digits: {described(value)}"
    raise ValueError(message)


def hash_v2(value: object) -> str:
    """Return 64 hex digits in lower case; ValueError otherwise."""
    if isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value.lower()):  # noqa: PLR2004 - SHA-256 in hex
        return value.lower()
    message = f"is not 64 hex digits: {described(value)}"
    raise ValueError(message)


def label(value: object) -> str | None:
    """Return text for people: hidden characters become spaces, at most 512 characters; None when there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _EXACT else None
    if not isinstance(value, str):
        return None
    text = value[:LABEL_MAX]
    if hidden_character(text):
        text = "".join(" " if hidden_character(character) else character for character in text)
    return text.strip() or None


def truth(value: object) -> bool:
    """Return whether the row says yes, as a boolean, as text or as a number; anything else is no."""
    if isinstance(value, str):
        return value.strip().lower() in {"true", "t", "yes", "1"}
    return isinstance(value, bool | int) and bool(value)


def moment(value: object) -> datetime | None:
    """Return a time from microseconds since 1970 or ISO 8601 text (without a zone: UTC); ValueError otherwise."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return _EPOCH + timedelta(microseconds=value)
        if isinstance(value, str):
            time = datetime.fromisoformat(value.strip())
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = f"is not a time: {described(value)}"
    raise ValueError(message)


def box(value: object) -> tuple[float, float, float, float] | None:
    """Return (west, south, east, north) from a struct or a list of 4 or 6; None unless all four are finite numbers."""
    if isinstance(value, dict):
        found = [value.get(key) for key in ("xmin", "ymin", "xmax", "ymax")]
    elif isinstance(value, list) and len(value) in {4, 6}:
        half = len(value) // 2
        found = [value[0], value[1], value[half], value[half + 1]]
    else:
        return None
    numbers = [float(n) for n in found if isinstance(n, int | float) and abs(n) < _EXACT and math.isfinite(n)]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None  # noqa: PLR2004 - corners
