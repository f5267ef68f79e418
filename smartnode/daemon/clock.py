"""Nothing is let go by a clock that may be wrong: epochs are the same everywhere only while clocks are.

Three doubts, each enough: the kernel does not call its clock synchronised; wall time and monotonic time came apart by
more than a quarter of the quiet window, from when that is noticed for one epoch; a web server's clock was further away
than that within a day. No answer of a server is no doubt, a kernel that does not answer is one. Monotonic time stands
still while the host sleeps, so waking up is a jump too: what was proved before it is old.
"""

import ctypes
import errno
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from smartnode.planning.terms import Terms

HEARD = timedelta(hours=24)
"""How long a server's disagreement counts."""
_BUCKETS = 64
_TIME_ERROR, _STA_UNSYNC = 5, 0x0040  # sys/timex.h


class Clock:
    """What is known of this host's clock. *trusted*: the operator answers for it, only jumps count.

    *wall* and *steady* are seconds (Unix time and monotonic); *kernel* returns why the kernel's clock is in doubt.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        trusted: bool = False,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        kernel: Callable[[], str | None] | None = None,
    ) -> None:
        """Begin to watch: a jump before this is not known."""
        self._epoch_s = terms.epoch.total_seconds()
        self._most = terms.quiet / 4
        self._trusted = trusted
        self._wall, self._steady = wall, steady
        self._kernel = kernel or kernel_doubt
        self._apart: deque[tuple[float, float, float]] = deque()
        """(begin in steady time, least, most) of wall minus steady time, oldest first, the last epoch and one more."""
        self._astray: tuple[datetime, timedelta] | None = None
        self._compare()

    def doubt(self, now: datetime) -> str | None:
        """Return why the clock cannot be trusted at *now*, in one clause; None when it can. To be asked at least once
        per epoch: a jump counts from when it is noticed.
        """
        apart = self._compare()
        if apart > self._most:
            return f"the clock jumped by {_shown(apart)} within the last {_shown(timedelta(seconds=self._epoch_s))}"
        if self._trusted:
            return None
        return self._kernel() or self._disagreement(now)

    def heard(self, date: datetime, at: datetime) -> None:
        """Take note that a web server's clock showed *date* when ours showed *at*; the last disagreement counts."""
        if abs(date - at) > self._most:
            self._astray = at, date - at

    def _disagreement(self, now: datetime) -> str | None:
        if self._astray is None or abs(now - self._astray[0]) >= HEARD:
            return None
        at, off = self._astray
        where = "ahead of" if off > timedelta(0) else "behind"
        return f"a web server's clock was {_shown(abs(off))} {where} ours at {at:%Y-%m-%d %H:%M} UTC"

    def _compare(self) -> timedelta:
        """Look at both clocks; return how far they came apart within the last epoch."""
        steady = self._steady()
        apart = self._wall() - steady
        last = self._apart[-1] if self._apart else None
        if last is not None and steady - last[0] < self._epoch_s / _BUCKETS:
            self._apart[-1] = last[0], min(last[1], apart), max(last[2], apart)
        else:
            self._apart.append((steady, apart, apart))
        while len(self._apart) > 1 and self._apart[1][0] <= steady - self._epoch_s:
            self._apart.popleft()
        return timedelta(seconds=max(most for *_, most in self._apart) - min(least for _, least, _ in self._apart))


class _Timex(ctypes.Structure):
    """``struct timex`` up to what is read, and room for the rest (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


def kernel_doubt() -> str | None:
    """Return why the kernel does not vouch for its clock, None when it does (adjtimex(2), which changes nothing)."""
    timex = _Timex()
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return "this system does not say whether its clock is synchronised"
    adjtimex.argtypes, adjtimex.restype = (ctypes.POINTER(_Timex),), ctypes.c_int
    state = adjtimex(ctypes.byref(timex))
    if state < 0:
        name = errno.errorcode.get(ctypes.get_errno(), "an error")
        return f"the kernel does not say whether its clock is synchronised (adjtimex: {name})"
    if state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return "the kernel does not call its clock synchronised"
    return None


def _shown(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"  # noqa: PLR2004 -- minutes
