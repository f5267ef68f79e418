"""Retry-After: seconds or a date, never negative, at most a day, and nothing else is understood."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.web.retry import MAX_WAIT, http_date, retry_after

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("007", 7),
        ("86401", 86400),
        ("9" * 60, 86400),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
        ("Monday, 23-Nov-26 12:01:30 GMT", 90),
        ("Mon Nov 23 12:01:30 2026", 90),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2099 11:00:00 GMT", 86400),
    ],
)
def test_seconds_and_dates_are_understood(header: str, expected: int) -> None:
    """Seconds and the three forms of an HTTP date give a wait of 0 s to 24 h."""
    assert retry_after(header, NOW) == timedelta(seconds=expected)


@pytest.mark.parametrize("header", [None, "", " ", "-5", "5.5", "soon", "0x10", "\u0663", "1" * 65, "32 Nov 2026"])
def test_what_is_no_wait_is_none(header: str | None) -> None:
    """An absent or unreadable header says nothing: None, not zero."""
    assert retry_after(header, NOW) is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d+:\d+:\d+ [-+A-Z0-9]+"))
def test_any_text_is_a_bounded_wait_or_none(header: str) -> None:
    """No text raises, and no wait is outside of 0 s to 24 h."""
    wait = retry_after(header, NOW)
    assert wait is None or timedelta(0) <= wait <= MAX_WAIT


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001 - strategies want naive bounds
def test_a_date_is_read_as_it_was_written(at: datetime) -> None:
    """An HTTP date comes back to the second."""
    at = at.replace(microsecond=0, tzinfo=UTC)
    assert http_date(format_datetime(at, usegmt=True)) == at
