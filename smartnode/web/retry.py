"""How long a server asks to be left alone: ``Retry-After`` (RFC 9110, 10.2.3) as a duration, or as nothing that can be
read.

Only the answers 429 and 503 are to be obeyed: some servers send the header with every answer.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_WAIT = timedelta(hours=24)
_HEADER_MAX = 64
_DIGITS_MAX = 9


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return what *header*, seconds or an HTTP date, asks for at *now*: never negative, at most a day; None when it is
    absent or unreadable. Callers clamp further.
    """
    if header is None or len(header) > _HEADER_MAX or not header.isascii():
        return None
    text = header.strip()
    if text.isdecimal():
        significant = text.lstrip("0") or "0"
        return MAX_WAIT if len(significant) > _DIGITS_MAX else min(timedelta(seconds=int(significant)), MAX_WAIT)
    until = http_date(text)
    return None if until is None else min(max(until - now, timedelta(0)), MAX_WAIT)


def http_date(text: str) -> datetime | None:
    """Return an HTTP date in any of its three forms as an aware UTC time, None when it is none."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
