"""When a web seed is asked again: pure arithmetic, never sooner than its minimum, whatever the server answers.

- Live: a light look every 6 h, whole pieces when the validators changed or after 30 days; one piece each time where
  the server names no validators, because nothing else tells this version from another of its size. Once the catalogue
  calls the version superseded: at once.
- Waiting (429, 5xx, refused, stalled): what Retry-After says, but at least 5 s doubling with the failures in a row;
  without it 30 s, doubling to 1 h.
- Gone or refused: after 24 h, doubling to 7 days. Banned: after 7 days, and then three pieces must be right.
- The engine gave it up: at once the first time, later 5 s, 15 s, 35 s and so on to 1 h, because libtorrent tells
  neither the status nor Retry-After. Failures are forgotten once it was live for 10 minutes.
- Everything is spread by 20 %, a server's own wait only to the late side.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror, MirrorFailure, MirrorState
from smartnode.sources.probe import Outcome
from smartnode.web.retry import MAX_WAIT

JITTER = 0.2
PIECES = 1
PIECES_AFTER_BAN = 3
TEXT_MAX = 120
_DOUBLINGS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The periods of the schedule; see the module. *stale*: a live one that nobody looked at for this long after it
    was due is not live any more, as after a long stop of the node.
    """

    light: timedelta = timedelta(hours=6)
    deep: timedelta = timedelta(days=30)
    between: timedelta = timedelta(seconds=5)
    waiting: timedelta = timedelta(seconds=30)
    waiting_max: timedelta = timedelta(hours=1)
    rare: timedelta = timedelta(hours=24)
    rare_max: timedelta = timedelta(days=7)
    banned: timedelta = timedelta(days=7)
    steady: timedelta = timedelta(minutes=10)
    stale: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The pace and the dice that spread it."""

    pace: Pace
    dice: random.Random

    def pieces(self, mirror: Mirror | None, now: datetime) -> int:
        """Return how many whole pieces the next look asks for; 0: a light look will do."""
        if mirror is None or mirror.hashed_at is None or now - mirror.hashed_at >= self.pace.deep:
            return PIECES_AFTER_BAN if mirror is not None and mirror.state is MirrorState.BANNED else PIECES
        return 0 if mirror.validator is not None else PIECES

    def due_at(self, mirror: Mirror, now: datetime) -> datetime:
        """Return when it is to be asked again; now, when that is further away than any wait is long: a wrong clock."""
        longest = max(self.pace.rare_max, self.pace.banned, self.pace.light, MAX_WAIT) * (1 + JITTER)
        return now if mirror.until is None or mirror.until - now > longest else mirror.until

    def looked(
        self, before: Mirror | None, outcome: Outcome, now: datetime, *, info_hash: InfoHash, url: str
    ) -> Mirror:
        """Return the mirror after a look that ended at *now*."""
        live = outcome.state is MirrorState.LIVE
        failures = self._failures(before, outcome.state, now)
        return Mirror(
            info_hash=info_hash,
            url=url,
            state=outcome.state,
            target=outcome.target,
            reason=outcome.reason,
            checked_at=now,
            hashed_at=self._hashed_at(before, outcome, now),
            until=now + self._wait(outcome, failures),
            failures=failures,
            validator=outcome.validator if live else (before.validator if before is not None else None),
        )

    def changed(self, before: Mirror, now: datetime) -> Mirror:
        """Return the mirror when its validators changed and no piece could be asked for yet: due at once."""
        reason = "its validators changed, a piece of it is hashed again first"
        return replace(before, state=MirrorState.WAITING, reason=reason, checked_at=now, hashed_at=None, until=now)

    def blamed(self, before: Mirror, failure: MirrorFailure, now: datetime) -> Mirror:
        """Return the mirror after the engine gave it up."""
        if failure.banned:
            return replace(
                before,
                state=MirrorState.BANNED,
                reason="it sent a wrong byte to the engine",
                hashed_at=None,
                until=now + self._spread(self.pace.banned),
                failures=1,
            )
        failures = 1 + (0 if self._forgiven(before, now) else before.failures)
        growing = self.pace.between * ((1 << min(failures - 1, _DOUBLINGS_MAX)) - 1)
        until = max(now + min(growing, self.pace.waiting_max), before.checked_at + self.pace.between)
        text = " ".join(failure.text.split()).encode("ascii", "replace").decode()[:TEXT_MAX]
        reason = f"the engine gave it up: {text}"
        return replace(before, state=MirrorState.WAITING, reason=reason, until=until, failures=failures)

    def superseded(self, before: Mirror, now: datetime) -> Mirror:
        """Return a live mirror when the catalogue calls its version superseded: due at once, for its server may offer
        the newest version only.
        """
        return replace(before, until=now)

    def serves(self, mirror: Mirror, now: datetime) -> bool:
        """Say whether the engine may use it now."""
        return mirror.state is MirrorState.LIVE and not self.overdue(mirror, now)

    def overdue(self, mirror: Mirror, now: datetime) -> bool:
        """Say whether nobody looked at it for so long that what was seen says nothing about now."""
        return mirror.until is None or now >= mirror.until + self.pace.stale

    def _failures(self, before: Mirror | None, state: MirrorState, now: datetime) -> int:
        if before is None or self._forgiven(before, now):
            return 0 if state is MirrorState.LIVE else 1
        if state is MirrorState.LIVE:
            return before.failures if before.state in _PASSING else 0
        return before.failures + 1 if (before.state in _PASSING) == (state in _PASSING) else 1

    def _forgiven(self, before: Mirror, now: datetime) -> bool:
        return before.state is MirrorState.LIVE and now - before.checked_at >= self.pace.steady

    def _hashed_at(self, before: Mirror | None, outcome: Outcome, now: datetime) -> datetime | None:
        if outcome.state is MirrorState.BANNED:
            return None
        if outcome.hashed:
            return now
        return None if before is None else before.hashed_at

    def _wait(self, outcome: Outcome, failures: int) -> timedelta:
        doublings = 1 << min(max(failures - 1, 0), _DOUBLINGS_MAX)
        match outcome.state:
            case MirrorState.LIVE:
                return self._spread(self.pace.light)
            case MirrorState.BANNED:
                return self._spread(self.pace.banned)
            case MirrorState.GONE | MirrorState.REFUSED:
                return self._spread(min(self.pace.rare * doublings, self.pace.rare_max))
            case MirrorState.WAITING if outcome.again_in is not None:
                least = min(self.pace.between * doublings, self.pace.waiting_max)
                return max(outcome.again_in, least) * (1 + self.dice.uniform(0, JITTER))
            case MirrorState.WAITING:
                return self._spread(min(self.pace.waiting * doublings, self.pace.waiting_max))

    def _spread(self, wait: timedelta) -> timedelta:
        return wait * self.dice.uniform(1 - JITTER, 1 + JITTER)


_PASSING = frozenset({MirrorState.LIVE, MirrorState.WAITING})
