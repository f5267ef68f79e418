"""A clock is trusted only while nothing speaks against it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.daemon.clock import Clock, kernel_doubt
from smartnode.planning.terms import Terms

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = Terms()  # an epoch of 2 h, a quiet window of 20 min: a quarter is 5 min
UNSYNCHRONISED = "the kernel does not call its clock synchronised"


class Host:
    """A host whose two clocks the test sets."""

    def __init__(self) -> None:
        """Both run from T0."""
        self.wall = T0.timestamp()
        self.steady = 1000.0

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.steady += seconds

    @property
    def now(self) -> datetime:
        """The time of day that the host believes in."""
        return datetime.fromtimestamp(self.wall, UTC)

    def clock(self, *, trusted: bool = False, kernel: str | None = None) -> Clock:
        """What is known of it."""
        return Clock(TERMS, trusted=trusted, wall=lambda: self.wall, steady=lambda: self.steady, kernel=lambda: kernel)


def test_a_quiet_clock_is_trusted() -> None:
    """Nothing to say against it for days: no doubt."""
    host = Host()
    clock = host.clock()
    for _ in range(300):
        assert clock.doubt(host.now) is None
        host.passes(900)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("by", [-3600.0, -301.0, 301.0, 86400.0])
def test_a_jump_counts_for_one_epoch_from_when_it_is_noticed(by: float, *, trusted: bool) -> None:
    """Forwards or backwards, whoever is trusted; then it is over."""
    host = Host()
    clock = host.clock(trusted=trusted)
    host.passes(900)
    assert clock.doubt(host.now) is None
    host.passes(800)
    host.wall += by
    host.passes(100)
    since = host.steady
    while host.steady - since < 7200:
        said = clock.doubt(host.now)
        assert said is not None
        assert said.startswith("the clock jumped by ")
        assert said.endswith("within the last 120 min")
        host.passes(450)
    host.passes(450)
    assert clock.doubt(host.now) is None


def test_small_steps_are_no_jump_until_they_add_up() -> None:
    """Two minutes at a time are borne, three times in one epoch are not."""
    host = Host()
    clock = host.clock()
    for step in range(3):
        host.passes(900)
        host.wall += 120
        assert (clock.doubt(host.now) is None) == (step < 2)


@given(st.lists(st.floats(1, 7000), min_size=1, max_size=200), st.integers(0, 199))
def test_no_jump_is_missed_however_often_it_is_asked(waits: list[float], at: int) -> None:
    """The doubt holds at every question of the epoch after the jump."""
    host = Host()
    clock = host.clock()
    noticed: float | None = None
    for number, wait in enumerate(waits):
        host.passes(wait)
        if number == at:
            host.wall -= 400
        said = clock.doubt(host.now)
        if number == at:
            noticed = host.steady
        within = noticed is not None and host.steady - noticed < 7200
        assert not within or said is not None
        assert noticed is not None or said is None


def test_the_kernel_is_believed_unless_the_operator_answers_for_the_clock() -> None:
    """What the kernel says against its clock is the reason."""
    host = Host()
    assert host.clock(kernel=UNSYNCHRONISED).doubt(host.now) == UNSYNCHRONISED
    assert host.clock(kernel=UNSYNCHRONISED, trusted=True).doubt(host.now) is None


def test_a_servers_clock_counts_for_a_day() -> None:
    """More than a quarter of the quiet window away, either way, is a doubt for 24 h; less is none, nor is silence."""
    host = Host()
    clock = host.clock()
    clock.heard(T0 + timedelta(minutes=5), T0)
    assert clock.doubt(host.now) is None
    clock.heard(T0 - timedelta(minutes=9), T0)
    said = "a web server's clock was 9 min behind ours at 2026-01-01 12:00 UTC"
    assert clock.doubt(host.now) == said
    clock.heard(T0, T0)
    host.passes(86_399)
    assert clock.doubt(host.now) == said
    host.passes(1)
    assert clock.doubt(host.now) is None
    clock.heard(host.now + timedelta(minutes=6), host.now)
    assert clock.doubt(host.now) == "a web server's clock was 6 min ahead of ours at 2026-01-02 12:00 UTC"


def test_the_real_kernel_answers() -> None:
    """It says what it thinks of its clock, as any other program of this host is told; the call changes nothing."""
    code = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); raw = (ctypes.c_char * 1024)();"
        "state = libc.adjtimex(raw); status = ctypes.c_int.from_buffer(raw, 5 * ctypes.sizeof(ctypes.c_long)).value;"
        "print(state < 0, state == 5 or bool(status & 0x40))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    refused, unsynchronised = (word == "True" for word in said)
    doubt = kernel_doubt()
    assert (doubt is not None) == (refused or unsynchronised)
    if not refused:
        assert doubt in {None, UNSYNCHRONISED}
    real = Clock(TERMS)
    assert real.doubt(datetime.now(UTC)) == doubt
    assert Clock(TERMS, trusted=True).doubt(datetime.now(UTC)) is None
