"""A server's clock is read from its answers, or not at all."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.web.dates import told_by

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "second"),
    [({"Date": DATE}, 0), ({"Date": DATE, "Age": "7"}, 7), ({"Date": DATE, "Age": " 0 "}, 0)],
)
def test_what_a_cache_kept_is_as_much_later(headers: dict[str, str], second: int) -> None:
    """Date is when the origin wrote the answer, Age how long caches kept it."""
    assert told_by(headers) == datetime(2026, 11, 22, 12, 0, second, tzinfo=UTC)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": "yesterday"},
        {"Date": DATE, "Age": "-1"},
        {"Date": DATE, "Age": "soon"},
        {"Date": DATE, "Age": "9" * 30},
        {"Date": "Fri, 31 Dec 9999 23:59:59 GMT", "Age": "1"},
        {"Date": DATE + " " * 99},
    ],
)
def test_what_cannot_be_read_says_nothing(headers: dict[str, str]) -> None:
    """No Date, a wrong one, or an Age that makes it one: unknown."""
    assert told_by(headers) is None


@given(date=st.text(), age=st.text())
def test_strangers_headers_raise_nothing(date: str, age: str) -> None:
    """Any text is a time or unknown."""
    found = told_by({"Date": date, "Age": age})
    assert found is None or found.tzinfo is UTC
