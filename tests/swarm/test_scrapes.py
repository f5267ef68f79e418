"""Counts of several trackers and of several times."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.tracker import Scrape
from smartnode.swarm.answers import Counts
from smartnode.swarm.scrapes import WINDOW, combine, merge_scrape

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float, downloaded: int | None) -> Scrape:
    """A fresh scrape so many hours after the beginning."""
    return Scrape(at=T0 + hours * HOUR, complete=1, incomplete=2, downloaded=downloaded)


def counts(complete: int | None) -> Counts:
    """One tracker's word."""
    return Counts(complete=complete, incomplete=None, downloaded=complete)


def test_one_tracker_that_invents_does_not_speak_for_all() -> None:
    """The lower median of what is plausible: a million among 3 and 4 is not the truth, and one of two is the lower."""
    assert combine([counts(3), counts(1_000_000), counts(4)], T0).complete == 4
    assert combine([counts(3), counts(1_000_000)], T0).complete == 3
    assert combine([counts(None), counts(5)], T0).complete == 5
    assert combine([counts(None)], T0) == Scrape(at=T0, complete=None, incomplete=None, downloaded=None)


@given(st.lists(st.integers(0, 100) | st.none(), max_size=9))
def test_the_joined_figure_is_one_that_was_said(said: list[int | None]) -> None:
    """No figure is made up, and none without a word for it."""
    joined = combine([counts(c) for c in said], T0).complete
    assert joined in said or (joined is None and set(said) <= {None})


def test_downloads_are_measured_from_the_oldest_count_within_the_window() -> None:
    """The first count stays the measure for 7 days; then the last known one becomes it."""
    known = merge_scrape(None, at(0, 10))
    assert known.downloads is None
    for hours, downloaded in ((1, 12), (24, 20), (168, 50)):
        known = merge_scrape(known, at(hours, downloaded))
        assert (known.downloads, known.before_at) == (downloaded - 10, T0)
    later = merge_scrape(known, at(169, 51))
    assert (later.downloads, later.before_at) == (1, T0 + 168 * HOUR)
    assert merge_scrape(later, at(999, 99)).downloads is None


def test_a_tracker_that_began_anew_is_measured_anew() -> None:
    """A count below the last one ends the measure, also when it is above the first."""
    known = merge_scrape(merge_scrape(None, at(0, 10)), at(1, 100))
    for fallen in (3, 70):
        anew = merge_scrape(known, at(2, fallen))
        assert (anew.downloads, anew.downloaded_before) == (None, None)
    assert merge_scrape(merge_scrape(known, at(2, 3)), at(3, 5)).downloads == 2


def test_a_count_that_is_missing_once_does_not_end_the_measure() -> None:
    """Unknown is not zero."""
    known = merge_scrape(merge_scrape(None, at(0, 10)), at(1, None))
    assert known.downloads is None
    assert merge_scrape(known, at(2, 15)).downloads == 5


def test_an_older_scrape_changes_nothing() -> None:
    """What is known stays when an answer arrives late."""
    known = merge_scrape(None, at(5, 10))
    assert merge_scrape(known, at(4, 9)) == known


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 50) | st.none()), max_size=30))
def test_downloads_are_never_negative_and_never_older_than_the_window(steps: list[tuple[int, int | None]]) -> None:
    """Whatever trackers say in whatever order, the measure is sound."""
    known: Scrape | None = None
    hours = 0
    for step, downloaded in steps:
        hours += step
        known = merge_scrape(known, at(hours, downloaded))
        assert known.downloads is None or known.downloads >= 0
        assert (known.before_at is None) == (known.downloaded_before is None)
        assert known.before_at is None or timedelta(0) < known.at - known.before_at <= WINDOW
