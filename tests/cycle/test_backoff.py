"""A failing item waits longer each time and never for ever."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartnode.cycle.backoff import FIRST_WAIT, LONGEST_WAIT, Backoff
from smartnode.domain.identity import InfoHash

HASH = InfoHash("ab" * 20)
T0 = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(1, 60))
def test_the_wait_doubles_up_to_six_hours(times: int) -> None:
    """After n failures in a row the item waits min(6 h, 20 min x 2^(n-1)), and not a moment longer."""
    backoff = Backoff()
    for _ in range(times):
        backoff.failed(HASH, "no answer", T0)
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 16))
    before = backoff.waiting(HASH, T0 + wait - timedelta(seconds=1))
    assert before is not None
    assert (before.times, before.reason) == (times, "no answer")
    assert backoff.waiting(HASH, T0 + wait) is None


def test_success_forgets() -> None:
    """After a success the next failure waits as long as a first one."""
    backoff = Backoff()
    for _ in range(5):
        backoff.failed(HASH, "x", T0)
    backoff.succeeded(HASH)
    assert backoff.waiting(HASH, T0) is None
    assert backoff.failed(HASH, "x", T0).until == T0 + FIRST_WAIT
