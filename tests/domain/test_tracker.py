"""Counts of trackers over time: what is measured is the growth within a week, and nothing is invented."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.tracker import WINDOW, Scrape

T0 = datetime(2026, 1, 1, tzinfo=UTC)
COUNTS = st.none() | st.integers(0, 50)


def scrape(day: float, downloaded: int | None, **more: Any) -> Scrape:
    """What a tracker counted on *day*."""
    values: dict[str, Any] = {"complete": None, "incomplete": None, "downloaded": downloaded}
    return Scrape(at=T0 + timedelta(days=day), **(values | more))


def test_downloads_are_measured_by_the_oldest_count_within_a_week() -> None:
    """Day after day the first count stays the base; when it is older than a week the one before takes its place."""
    known = scrape(0, 10)
    for day, count in ((1, 12), (6, 15)):
        known = scrape(day, count).after(known)
        assert (known.downloaded_before, known.before_at, known.downloads) == (10, T0, count - 10)
    known = scrape(8, 16).after(known)
    assert (known.downloaded_before, known.downloads) == (15, 1)


def test_a_tracker_that_began_anew_is_measured_anew() -> None:
    """A count below the last one says nothing about downloads in between."""
    known = scrape(1, 12).after(scrape(0, 10))
    anew = scrape(2, 3).after(known)
    assert anew.downloads is None
    assert scrape(3, 5).after(anew).downloads == 2


def test_what_no_tracker_said_stays_as_it_was_known() -> None:
    """An answer without a figure takes nothing away."""
    known = scrape(1, 12, complete=3, incomplete=4).after(scrape(0, 10))
    assert scrape(2, None).after(known) == Scrape(
        at=T0 + timedelta(days=2), complete=3, incomplete=4, downloaded=12, downloaded_before=10, before_at=T0
    )


@given(st.lists(st.tuples(st.floats(0.01, 5), COUNTS), min_size=1, max_size=12))
def test_downloads_are_never_negative_and_never_older_than_a_week(steps: Any) -> None:
    """Whatever trackers say, in whatever order of counts."""
    known: Scrape | None = None
    day = 0.0
    for pause, count in steps:
        day += pause
        known = scrape(day, count).after(known)
        assert known.downloads is None or known.downloads >= 0
        if count is not None and known.before_at is not None:
            assert known.at - known.before_at <= WINDOW
