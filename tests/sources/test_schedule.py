"""The schedule: never sooner than its minimum, never a loop, whatever is answered."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror, MirrorFailure, MirrorState
from smartnode.sources.probe import Outcome
from smartnode.sources.schedule import JITTER, PIECES, PIECES_AFTER_BAN, Pace, Schedule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = InfoHash("a" * 40)
URL = "https://m.example/x"
PACE = Pace()
LEAST = {
    MirrorState.LIVE: PACE.light,
    MirrorState.WAITING: PACE.waiting,
    MirrorState.GONE: PACE.rare,
    MirrorState.REFUSED: PACE.rare,
    MirrorState.BANNED: PACE.banned,
}
MOST = {
    MirrorState.LIVE: PACE.light,
    MirrorState.WAITING: PACE.waiting_max,
    MirrorState.GONE: PACE.rare_max,
    MirrorState.REFUSED: PACE.rare_max,
    MirrorState.BANNED: PACE.banned,
}
FAILURE = MirrorFailure(info_hash=KEY, url=URL, text="[http]: 503\nbusy", banned=False)


def schedule(seed: int = 1) -> Schedule:
    """The default pace with seeded dice."""
    return Schedule(pace=PACE, dice=random.Random(seed))


def outcome(state: MirrorState, **more: Any) -> Outcome:
    """An outcome of a look."""
    return Outcome(state=state, target=URL, reason="" if state is MirrorState.LIVE else "why", **more)


def looked(before: Mirror | None, state: MirrorState, now: datetime, seed: int = 1, **more: Any) -> Mirror:
    """The mirror after one look."""
    return schedule(seed).looked(before, outcome(state, **more), now, info_hash=KEY, url=URL)


@given(
    states=st.lists(st.sampled_from(MirrorState), min_size=1, max_size=40),
    seed=st.integers(0, 1 << 30),
    late_s=st.integers(0, 100_000),
)
def test_no_look_is_sooner_than_its_state_allows(states: Any, seed: int, late_s: int) -> None:
    """Any history of answers: the next look is between the least and the longest wait of the state, spread by 20 %."""
    mirror, now = None, NOW
    for state in states:
        mirror = looked(mirror, state, now, seed)
        assert mirror.until is not None
        wait = mirror.until - now
        assert LEAST[state] * (1 - JITTER) <= wait <= MOST[state] * (1 + JITTER)
        assert schedule().due_at(mirror, now) == mirror.until
        now = mirror.until + timedelta(seconds=late_s)


@given(
    waits=st.lists(st.none() | st.floats(0, 86_400), min_size=1, max_size=30),
    seed=st.integers(0, 1 << 30),
)
def test_retry_after_is_obeyed_and_a_short_one_is_no_loop(waits: Any, seed: int) -> None:
    """Never sooner than the server says, never later than 20 % more than it, unless failures in a row say so: at least
    5 s, doubling.
    """
    mirror, now = None, NOW
    for number, said in enumerate(waits):
        again = None if said is None else timedelta(seconds=said)
        mirror = looked(mirror, MirrorState.WAITING, now, seed, again_in=again)
        assert mirror.until is not None
        assert mirror.failures == number + 1
        if again is not None:
            least = max(again, min(PACE.between * 2 ** min(number, 16), PACE.waiting_max))
            assert least <= mirror.until - now <= least * (1 + JITTER)
        now = mirror.until


def test_waits_double_and_end() -> None:
    """30 s, 1 min, 2 min ... 1 h; 24 h, 2, 4, 7 days; a success in between starts anew."""
    mirror, waits = None, []
    for _ in range(10):
        mirror = looked(mirror, MirrorState.WAITING, NOW)
        assert mirror.until is not None
        waits.append((mirror.until - NOW) / PACE.waiting)
    rough = [30 * 2**n for n in range(7)] + [3600] * 3
    assert all(0.8 * r / 30 <= w <= 1.2 * r / 30 for w, r in zip(waits, rough, strict=True))
    gone = looked(mirror, MirrorState.GONE, NOW)
    assert gone.failures == 1
    assert looked(gone, MirrorState.GONE, NOW).failures == 2
    live = looked(gone, MirrorState.LIVE, NOW, hashed=True, validator="v")
    assert (live.failures, live.reason, live.hashed_at, live.validator) == (0, "", NOW, "v")


def test_a_flapping_mirror_keeps_its_failures_until_it_was_live_for_a_while() -> None:
    """Failing again within 10 minutes counts as the same trouble."""
    waiting = looked(looked(None, MirrorState.WAITING, NOW), MirrorState.WAITING, NOW)
    live = looked(waiting, MirrorState.LIVE, NOW, hashed=True)
    assert looked(live, MirrorState.WAITING, NOW + timedelta(minutes=9)).failures == 3
    assert looked(live, MirrorState.WAITING, NOW + timedelta(minutes=10)).failures == 1


def test_when_whole_pieces_are_asked_for() -> None:
    """The first time, after 30 days, after a ban three; in between a light look will do, where validators tell one
    version from another.
    """
    live = looked(None, MirrorState.LIVE, NOW, hashed=True, validator="v")
    assert schedule().pieces(None, NOW) == PIECES
    assert schedule().pieces(live, NOW + timedelta(days=29)) == 0
    assert schedule().pieces(live, NOW + timedelta(days=30)) == PIECES
    mute = looked(None, MirrorState.LIVE, NOW, hashed=True)
    assert schedule().pieces(mute, NOW + timedelta(hours=6)) == PIECES
    banned = looked(live, MirrorState.BANNED, NOW)
    assert banned.hashed_at is None
    assert schedule().pieces(banned, NOW) == PIECES_AFTER_BAN
    assert schedule().pieces(looked(None, MirrorState.GONE, NOW), NOW) == PIECES
    assert schedule().pieces(schedule().changed(live, NOW), NOW) == PIECES


@given(st.integers(0, 1 << 30), st.lists(st.integers(0, 3000), min_size=1, max_size=50))
def test_the_engines_failures_are_never_a_loop(seed: int, lives_s: list[int]) -> None:
    """Given up again and again after a good look each time: at least 5 s between looks, and longer with each failure
    that follows within 10 minutes.
    """
    mirror, now, before = looked(None, MirrorState.LIVE, NOW, seed, hashed=True), NOW, 0
    for lived in lives_s:
        looked_at, now = now, now + timedelta(seconds=lived)
        mirror = schedule(seed).blamed(mirror, FAILURE, now)
        assert mirror.until is not None
        assert mirror.failures == (1 if lived >= 600 else before + 1)
        growing = min(PACE.between * (2 ** min(mirror.failures - 1, 16) - 1), PACE.waiting_max)
        assert mirror.until - now >= growing
        assert mirror.until - looked_at >= PACE.between
        assert mirror.reason == "the engine gave it up: [http]: 503 busy"
        now, before = mirror.until, mirror.failures
        mirror = looked(mirror, MirrorState.LIVE, now, seed)


@pytest.mark.parametrize("state", [s for s in MirrorState if s is not MirrorState.LIVE])
def test_only_what_is_live_and_was_seen_lately_serves(state: MirrorState) -> None:
    """A live one that nobody looked at for six hours after it was due says nothing about now."""
    live = looked(None, MirrorState.LIVE, NOW, hashed=True)
    assert live.until is not None
    assert schedule().serves(live, live.until + timedelta(hours=5))
    assert not schedule().serves(live, live.until + timedelta(hours=6))
    assert not schedule().serves(looked(live, state, NOW), NOW)


def test_a_wrong_clock_puts_nothing_off_for_years() -> None:
    """What is due further away than any wait is long is due now."""
    future = looked(None, MirrorState.GONE, NOW + timedelta(days=4000))
    assert schedule().due_at(future, NOW) == NOW
