"""When a tracker may be asked: the clock is the test's, so that nothing waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.swarm.standing import JITTER, REST_FIRST_S, Standing, shown_url
from smartnode.swarm.tracker_line import BATCH, REST_MAX_S

NOW = datetime(2026, 1, 1, 12, 34, tzinfo=UTC)


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


def standing(clock: Clock, url: str = "udp://t.example:1337/announce") -> Standing:
    """A tracker without a verdict."""
    return Standing(url, lookups_per_s=10, clock=clock)


def fail(tracker: Standing, reason: str = "no answer") -> None:
    """One question that was not answered."""
    ticket = tracker.admit()
    assert ticket is not None
    tracker.failed(ticket, NOW, reason)


def test_the_backoff_doubles_up_to_half_an_hour_with_jitter() -> None:
    """Never less than 3/4 and never more than 5/4 of 30 s, 60 s, ... 30 min."""
    clock = Clock()
    tracker = standing(clock)
    for failures in range(12):
        fail(tracker)
        delay = min(REST_MAX_S, REST_FIRST_S * 2**failures)
        clock.at += delay * (1 - JITTER) - 0.001
        assert tracker.admit() is None
        clock.at += delay * 2 * JITTER + 0.002


def test_trackers_that_failed_together_are_not_asked_again_together() -> None:
    """A herd of nodes spreads over half of the backoff."""
    clock = Clock()
    trackers = [standing(clock) for _ in range(200)]
    for tracker in trackers:
        fail(tracker)
    clock.at += REST_FIRST_S
    admitted = sum(tracker.admit() is not None for tracker in trackers)
    assert 40 < admitted < 160


def test_after_a_failure_one_question_at_a_time_passes() -> None:
    """A crowd of look-ups neither storms a tracker that returns nor waits for it; an answer lets all of them in."""
    clock = Clock()
    tracker = standing(clock)
    fail(tracker)
    clock.at += 60
    assert [tracker.admit() is not None for _ in range(5)] == [True, False, False, False, False]
    tracker.answered(NOW)
    assert all(tracker.admit() is not None for _ in range(5))


def test_questions_that_were_under_way_together_fail_once() -> None:
    """Forty look-ups into one outage are one failure, not forty doublings."""
    clock = Clock()
    tracker = standing(clock)
    tickets = [tracker.admit() for _ in range(40)]
    for ticket in tickets:
        assert ticket is not None
        tracker.failed(ticket, NOW, "no answer")
    assert tracker.health().failures == 1
    clock.at += REST_FIRST_S * (1 + JITTER)
    assert tracker.admit() is not None


def test_a_probe_that_was_called_off_makes_room_for_the_next() -> None:
    """A cancelled question is no verdict and blocks nothing."""
    clock = Clock()
    tracker = standing(clock)
    fail(tracker)
    clock.at += 60
    ticket = tracker.admit()
    assert ticket is not None
    tracker.released(ticket)
    assert tracker.admit() is not None
    assert tracker.health().failures == 1


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_look_ups_never_exceed_their_rate(steps: list[float]) -> None:
    """Over any stretch of time at most the rate and one bucket of questions begin."""
    clock = Clock()
    tracker = standing(clock)
    begins = []
    for step in steps:
        clock.at += step / 20
        begins.append(clock.at + tracker.token_wait_s())
    for first in range(len(begins)):
        within = sum(begins[first] <= b < begins[first] + 1 for b in begins)
        assert within <= 10 + 10 + 1


def test_a_batch_that_was_learned_is_forgotten_after_a_day() -> None:
    """One bad hour of a tracker does not shrink its batches for ever; they never grow by a word."""
    clock = Clock()
    tracker = standing(clock)
    tracker.batch = 9
    tracker.batch = 64
    assert tracker.batch == 9
    clock.at += 86_400
    assert tracker.batch == BATCH


def test_what_is_said_of_a_tracker_names_the_time_and_the_reason() -> None:
    """Since when it is silent, and a date when that was not today; nothing while it answers."""
    tracker = standing(Clock())
    assert tracker.complaint(NOW) is None
    assert not tracker.answers
    fail(tracker)
    line = "swarm: tracker udp://t.example:1337 does not answer since 12:34 (no answer)"
    assert tracker.complaint(NOW) == line
    tomorrow = tracker.complaint(NOW + timedelta(days=1))
    assert tomorrow == line.replace("12:34", "2026-01-01 12:34")
    tracker.answered(NOW)
    assert tracker.answers
    assert tracker.complaint(NOW) is None
    assert tracker.health().reason == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://t.example/0123abcd/announce", "https://t.example/announce"),
        ("http://t.example:81/announce?passkey=0123abcd", "http://t.example:81/announce"),
        ("http://t.example/announce.php?k=1", "http://t.example/"),
        ("udp://[2001:db8::1]:6969", "udp://[2001:db8::1]:6969/"),
        ("http://user:secret@t.example/announce", "http://t.example/announce"),
    ],
)
def test_what_is_shown_holds_no_passkey(url: str, shown: str) -> None:
    """Scheme, host and port, and the word announce."""
    assert shown_url(url) == shown
