"""When a server wrote an answer, by the server's own clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from smartnode.web.retry import http_date

_DATE_MAX = 64
_AGE_DIGITS_MAX = 9


def told_by(headers: Mapping[str, str]) -> datetime | None:
    """Return what the server's clock showed when it sent *headers* (``Date``; ``Age`` later where a cache kept them:
    RFC 9111, 4.2.3) as an aware UTC time; None when they do not say, or say it unreadably.
    """
    date, age = headers.get("Date", ""), headers.get("Age", "0").strip()
    if len(date) > _DATE_MAX or not age.isascii() or not age.isdecimal() or len(age) > _AGE_DIGITS_MAX:
        return None
    written = http_date(date)
    try:
        return None if written is None else written + timedelta(seconds=int(age))
    except OverflowError:
        return None
