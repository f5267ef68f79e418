"""Sizes, rates and times are parsed once, here; what leaves is a number in bytes, bytes per second or seconds.

GB = 10^9 and GiB = 2^30 bytes; Mbit/s = 10^6 bits per second. A bare whole number is bytes, bytes per second or
seconds.
"""

import re
from datetime import timedelta

from smartnode.domain.pieces import Bytes

SIZE_FORMS = '"500 GB", "1.5 TB", "500 GiB" or a whole number of bytes'
RATE_FORMS = '"20 Mbit/s", "2 MB/s", "2 MiB/s" or a whole number of bytes per second'
TIME_FORMS = '"90 s", "15 min", "2 h", "1 d" or a whole number of seconds'
LARGEST = 1 << 60
LONGEST_S = 366 * 24 * 3600

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/]*)\s*")
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50}
_SIZES = {f"{prefix}b": factor for prefix, factor in (_DECIMAL | _BINARY).items()} | {"": 1}
_RATES = (
    {f"{prefix}b/s": float(factor) for prefix, factor in (_DECIMAL | _BINARY).items()}
    | {f"{prefix}bit/s": factor / 8 for prefix, factor in _DECIMAL.items()}
    | {"": 1.0}
)
_TIMES = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def size(value: object) -> Bytes:
    """Return bytes; ValueError names the allowed forms."""
    return Bytes(int(_number(value, _SIZES, largest=LARGEST, forms=SIZE_FORMS)))


def rate(value: object) -> Bytes:
    """Return bytes per second, at least 1; ValueError names the allowed forms."""
    parsed = int(_number(value, _RATES, largest=LARGEST, forms=RATE_FORMS))
    if parsed == 0:
        message = f"a limit of 0 would stop all traffic, use {RATE_FORMS}, or leave the key out for no limit"
        raise ValueError(message)
    return Bytes(parsed)


def duration(value: object) -> timedelta:
    """Return a time of at least 0.1 s and at most 366 days; ValueError names the allowed forms."""
    seconds = _number(value, _TIMES, largest=LONGEST_S, forms=TIME_FORMS)
    if seconds < 0.1:  # noqa: PLR2004 -- as the docstring says
        message = f"a time of {seconds} s is too short, use {TIME_FORMS}"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def _number(value: object, units: dict[str, int] | dict[str, float], *, largest: float, forms: str) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        message = f"{value!r} is not understood, use {forms}"
        raise ValueError(message)
    number = float(found[1]) if "." in found[1] else int(found[1])
    if number * factor > largest:
        message = f"{value!r} is larger than anything that can be meant, use {forms}"
        raise ValueError(message)
    return number * factor
