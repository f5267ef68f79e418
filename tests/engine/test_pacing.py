"""The bucket and the line: what waits goes through in turn, at the rate."""

from hypothesis import given
from hypothesis import strategies as st

from smartnode.engine.pacing import Bucket, Line, Turn
from smartnode.engine.trackers import BOUND_S, DOWN_AFTER, INTERVAL_MAX_S, Tracker, shown


@given(
    steps=st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 60)), min_size=1, max_size=40),
    rate=st.integers(1, 50),
)
def test_a_bucket_never_lets_more_through_than_its_rate_and_one_second(
    steps: list[tuple[float, int]], rate: int
) -> None:
    """In any time at most the rate times the time goes through, and one second's worth at the start."""
    bucket, now, passed = Bucket(rate), 100.0, 0
    bucket.fill(now)
    for step, wanted in steps:
        now += step
        bucket.fill(now)
        passed += sum(bucket.take() for _ in range(wanted))
        assert passed <= rate * (now - 100.0) + rate + 1e-6


def test_what_others_send_takes_tokens_too_and_never_stops_the_line() -> None:
    """Announces that nobody let through are counted; a quarter of the rate is left whatever they are."""
    bucket = Bucket(20)
    bucket.fill(0.0)
    for _ in range(100):
        bucket.saw()
    bucket.fill(1.0)
    assert sum(bucket.take() for _ in range(100)) == 5
    bucket.fill(2.0)
    assert sum(bucket.take() for _ in range(100)) == 20
    for _ in range(20):
        bucket.expect()
        bucket.saw()
    bucket.fill(3.0)
    assert sum(bucket.take() for _ in range(100)) == 20


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Turn), st.none() | st.integers(0, 5)), max_size=40))
def test_everybody_in_line_goes_once(joins: list[tuple[int, Turn, int | None]]) -> None:
    """Whatever the order of joining, each key goes through exactly once, and nobody before its time."""
    line: Line[int] = Line()
    for key, turn, at in joins:
        line.join(key, turn, at=at)
    gone = []
    for now in range(6):
        while (key := line.next(now)) is not None:
            assert any(k == key and (at is None or at <= now) for k, _, at in joins)
            gone.append(key)
    assert sorted(gone) == sorted({key for key, _, _ in joins})
    assert len(line) == 0


def test_a_new_torrent_goes_before_those_of_the_start_and_those_that_were_announced() -> None:
    """The order is: fresh, then the start's, then the rest; who waits already may move forward, not back."""
    line: Line[str] = Line()
    line.join("again", Turn.AGAIN)
    line.join("start", Turn.START)
    line.join("fresh", Turn.FRESH)
    line.join("moved", Turn.AGAIN)
    line.join("moved", Turn.FRESH)
    line.join("fresh", Turn.AGAIN)
    assert [line.next(0) for _ in range(5)] == ["fresh", "moved", "start", "again", None]
    line.join("x", Turn.AGAIN)
    line.clear()
    assert line.next(0) is None


def test_a_tracker_is_shown_without_what_could_be_a_passkey() -> None:
    """User, path and query are left out, but for the usual last word."""
    assert shown("udp://t.example:6969/announce") == "udp://t.example:6969/announce"
    assert shown("https://u:p@t.example/abcdef0123/announce?key=1") == "https://t.example/announce"
    assert shown("http://t.example/announce/secretkey") == "http://t.example"
    assert shown("http://[2001:db8::1]:80/announce.php") == "http://[2001:db8::1]:80/announce.php"
    assert shown("http://[bad") == "?"


def test_a_tracker_is_down_after_five_failures_and_its_word_is_bounded() -> None:
    """Being down is said once; an interval of years is not obeyed."""
    tracker = Tracker("udp://t.example:1")
    assert [tracker.failed("timed out", 7.0) for _ in range(DOWN_AFTER + 1)] == [False] * 4 + [True, False]
    assert tracker.down
    assert tracker.answered(1.0)
    assert not tracker.answered(2.0)
    assert tracker.answered_after(1.5)
    assert not tracker.answered_after(2.5)
    assert tracker.bound_s == BOUND_S
    assert tracker.wants_interval(0.0)
    tracker.took_interval(10.0**9, 0.0)
    assert not tracker.wants_interval(60.0)
    assert tracker.bound_s < INTERVAL_MAX_S * 1.2
