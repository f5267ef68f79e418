"""Counts of several trackers and of several times."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.tracker import Scrape
from smartnode.swarm.answers import Counts
from smartnode.swarm.scrapes import combine

T0 = datetime(2026, 1, 1, tzinfo=UTC)


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
