"""Sizes, rates and times are parsed once, here, exactly; what leaves is bytes, bytes per second or a timedelta.

GB = 10^9 and GiB = 2^30 bytes; Mbit/s = 10^6 bits per second. Capitals do not matter. A bare whole number is bytes,
bytes per second or seconds; a fraction needs its unit.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

from smartnode.domain.pieces import Bytes

SIZE_FORMS = '"500 GB", "1.5 TB", "500 GiB" or a whole number of bytes'
RATE_FORMS = '"20 Mbit/s", "2 MB/s", "2 MiB/s" or a whole number of bytes per second'
TIME_FORMS = '"90 s", "15 min", "2 h", "1 d" or a whole number of seconds'
LARGEST = 1 << 60
SHORTEST_S = Fraction(1, 10)
LONGEST_S = 366 * 24 * 3600

_NUMBER = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z/]*)\s*")
_SHOWN = 60  # characters of a wrong value that we show
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50}
_SIZES = {f"{prefix}b": Fraction(factor) for prefix, factor in (_DECIMAL | _BINARY).items()}
_RATES = {f"{unit}/s": factor for unit, factor in _SIZES.items()} | {
    f"{prefix}bit/s": Fraction(factor, 8) for prefix, factor in _DECIMAL.items()
}
_TIMES = {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}


def size(value: object) -> Bytes:
    """Return whole bytes, rounded down; ValueError names the allowed forms."""
    return Bytes(int(_number(value, _SIZES, largest=LARGEST, forms=SIZE_FORMS)))


def rate(value: object) -> Bytes:
    """Return bytes per second, at least 1; ValueError names the allowed forms."""
    parsed = int(_number(value, _RATES, largest=LARGEST, forms=RATE_FORMS))
    if parsed == 0:
        message = f"a limit of 0 would stop all traffic, use {RATE_FORMS}, or leave the key out for no limit"
        raise ValueError(message)
    return Bytes(parsed)


def duration(value: object) -> timedelta:
    """Return a time of at least 0.1 s and at most 366 days, to the microsecond; ValueError names the allowed forms."""
    if isinstance(value, timedelta):
        return value
    seconds = _number(value, _TIMES, largest=LONGEST_S, forms=TIME_FORMS)
    if seconds < SHORTEST_S:
        message = f"{value!r} is too short, use {TIME_FORMS}"
        raise ValueError(message)
    return timedelta(microseconds=int(seconds * 1_000_000))


def _number(value: object, units: Mapping[str, Fraction], *, largest: int, forms: str) -> Fraction:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    factor = None
    if found is not None:
        bare_whole = not found[2] and "." not in found[1]
        factor = Fraction(1) if bare_whole else units.get(found[2].lower())
    if found is None or factor is None:
        message = f"{repr(value)[:_SHOWN]} is not understood, use {forms}"
        raise ValueError(message)
    number = Fraction(found[1]) * factor
    if number > largest:
        message = f"{value!r} is larger than anything that can be meant, use {forms}"
        raise ValueError(message)
    return number
