"""What may not happen all at once waits in a line and is let through at a rate; the line never holds a key twice."""

import heapq
from collections import deque
from collections.abc import Hashable
from enum import IntEnum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

LEAST_SHARE = 0.25


class Turn(IntEnum):
    """Who goes first."""

    FRESH = 0  # added while the node runs: nobody knows of it yet
    START = 1  # known from before, not announced since the start
    AGAIN = 2  # announced before


class Bucket:
    """A token bucket of one second's size. Others may overdraw it, by one second's tokens at most."""

    def __init__(self, per_s: float) -> None:
        """Let *per_s* through every second; full at first."""
        self._per_s = per_s
        self._filled_at: float | None = None
        self._level = max(per_s, 1.0)
        self._owed = 0
        """Let through and not seen to go out yet."""

    def fill(self, now: float) -> None:
        """Add what the time since the last call is worth. A quarter of the rate is always there: what takes tokens
        without asking cannot stop the line.
        """
        passed = 0.0 if self._filled_at is None else min(now - self._filled_at, 1.0)
        self._filled_at, self._owed = now, 0
        least = self._per_s * LEAST_SHARE * passed
        self._level = min(max(self._level + self._per_s * passed, least), max(self._per_s, 1.0))

    def take(self) -> bool:
        """Take one token; False when there is none."""
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def give_back(self) -> None:
        """Give back a token that was not used."""
        self._level += 1.0

    def expect(self) -> None:
        """Take note that what was let through will be counted once more, when it is seen."""
        self._owed += 1

    def saw(self) -> None:
        """Count what was seen to go out: what nobody let through takes a token all the same."""
        if self._owed:
            self._owed -= 1
        else:
            self._level = max(self._level - 1.0, -self._per_s)


class Line(Generic[K]):
    """Keys that wait, in order of their turn, then of their coming; some not before their time."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: dict[K, Turn] = {}
        self._ready: dict[Turn, deque[K]] = {turn: deque() for turn in Turn}
        self._later: list[tuple[float, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def join(self, key: K, turn: Turn, *, at: float | None = None) -> None:
        """Wait, not before *at*; a key that waits already only moves to an earlier turn."""
        known = self._waiting.get(key)
        if known is not None and (known <= turn or at is not None):
            return
        self._waiting[key] = turn
        if at is None:
            self._ready[turn].append(key)
        else:
            self._count += 1
            heapq.heappush(self._later, (at, self._count, key))

    def next(self, now: float) -> K | None:
        """Return whose turn it is and let it go; None when nobody is ready."""
        while self._later and self._later[0][0] <= now:
            key = heapq.heappop(self._later)[2]
            if key in self._waiting:
                self._ready[self._waiting[key]].append(key)
        for turn in Turn:
            ready = self._ready[turn]
            while ready:
                key = ready.popleft()
                if self._waiting.get(key) == turn:  # else it went before, or moved to an earlier turn
                    del self._waiting[key]
                    return key
        return None

    def clear(self) -> None:
        """Send everybody away."""
        self._waiting.clear()
        self._later.clear()
        for ready in self._ready.values():
            ready.clear()
