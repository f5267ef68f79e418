"""Makes the difference real: evict first, then remap, then fetch; each outcome is a decision that can be read later.

One item's failure is data: it is written down, the item waits, the others go on. A refused eviction is recorded when
what is refused changes, not every quarter of an hour.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from smartnode.cycle.backoff import Backoff
from smartnode.cycle.candidates import by_info_hash
from smartnode.cycle.metainfos import Metainfos
from smartnode.cycle.needs import EngineRoom
from smartnode.domain.catalogue import Item
from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.plan import Plan, PlanEntry
from smartnode.errors import SmartnodeError
from smartnode.metainfo.read import Metainfo
from smartnode.planning.difference import Difference

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a cycle did: bytes newly promised, bytes let go, items that failed."""

    decisions: tuple[Decision, ...] = ()
    started_bytes: int = 0
    evicted_bytes: int = 0
    failed: int = 0

    def plus(self, other: "Applied") -> "Applied":
        """Return what both did together."""
        return Applied(
            decisions=(*self.decisions, *other.decisions),
            started_bytes=self.started_bytes + other.started_bytes,
            evicted_bytes=self.evicted_bytes + other.evicted_bytes,
            failed=self.failed + other.failed,
        )


@dataclass(slots=True, kw_only=True)
class _Tally:
    """The running sums of one cycle."""

    at: datetime
    cycle: int
    decisions: list[Decision]
    started_bytes: int = 0
    evicted_bytes: int = 0
    failed: int = 0

    def note(self, entry: PlanEntry, *, action: str, segments: int, size: int, outcome: str) -> None:
        """Write one decision down."""
        self.decisions.append(
            Decision(
                at=self.at,
                cycle=self.cycle,
                action=action,
                item=str(entry.item),
                info_hash=entry.info_hash,
                segments=segments,
                bytes=size,
                rule=entry.because.rule.value,
                because=entry.because.text,
                outcome=outcome,
            )
        )

    def close(self) -> Applied:
        """Return the sums as a value."""
        return Applied(
            decisions=tuple(self.decisions),
            started_bytes=self.started_bytes,
            evicted_bytes=self.evicted_bytes,
            failed=self.failed,
        )


class Apply:
    """Applies differences to the engine."""

    def __init__(self, engine: EngineRoom, metainfos: Metainfos, backoff: Backoff) -> None:
        """Act on *engine*; .torrent files come from *metainfos*; failures go into *backoff*."""
        self._engine = engine
        self._metainfos = metainfos
        self._backoff = backoff
        self._refused: frozenset[tuple[str, int]] = frozenset()

    async def apply(
        self,
        plan: Plan,
        todo: Difference,
        *,
        items: Iterable[Item],
        now: datetime,
        cycle: int,
        before: float | None = None,
    ) -> Applied:
        """Make *todo* real and return what came of it; *before*: until when, on the monotonic clock, proofs hold."""
        tally = _Tally(at=now, cycle=cycle, decisions=[])
        by_hash = by_info_hash(items)
        for info_hash, pieces in todo.evict.items():
            await self._evict(plan, info_hash, pieces, tally, before)
        self._note_refused(plan, tally)
        starting = {s.info_hash for s in todo.started} & by_hash.keys()
        for info_hash in todo.wanted.keys() - {s.info_hash for s in todo.started}:
            await self.remap(info_hash, todo.wanted[info_hash])
        read = await self._metainfos.read([by_hash[h] for h in todo.wanted if h in starting], now)
        for info_hash, metainfo in read.items():
            await self._fetch(plan, todo, by_hash[info_hash], metainfo, tally)
        return tally.close()

    async def _evict(
        self, plan: Plan, info_hash: InfoHash, pieces: Bitfield, tally: _Tally, before: float | None
    ) -> None:
        entry = next(e for e in plan.evict if e.info_hash == info_hash and e.permitted)
        try:
            freed = await self._engine.evict(info_hash, pieces, before=before)
        except SmartnodeError as error:
            tally.failed += 1
            tally.note(entry, action="evict", segments=len(entry.segments), size=0, outcome=f"failed: {error}")
            return
        tally.evicted_bytes += freed
        tally.note(entry, action="evict", segments=len(entry.segments), size=freed, outcome="done")
        log.warning(
            "item.evicted", info_hash=info_hash, bytes=freed, rule=entry.because.rule.value, because=entry.because.text
        )

    def _note_refused(self, plan: Plan, tally: _Tally) -> None:
        refused = [e for e in plan.evict if not e.permitted]
        now_refused = frozenset((str(e.info_hash), e.bytes) for e in refused)
        if now_refused != self._refused:
            for entry in refused:
                tally.note(entry, action="evict", segments=len(entry.segments), size=entry.bytes, outcome="refused")
        self._refused = now_refused

    async def remap(self, info_hash: InfoHash, wanted: Bitfield) -> None:
        """Make *wanted* the target of a torrent that the engine has; one that left meanwhile needs none."""
        if info_hash not in self._engine.holdings():
            return
        try:
            await self._engine.remap(info_hash, wanted)
        except SmartnodeError as error:
            log.warning("item.remap_failed", info_hash=info_hash, reason=str(error))

    async def _fetch(self, plan: Plan, todo: Difference, item: Item, metainfo: Metainfo | str, tally: _Tally) -> None:
        torrent = item.torrent
        assert torrent is not None
        started = [s for s in todo.started if s.info_hash == torrent.info_hash]
        size = sum(s.bytes for s in started)
        entry = next(e for e in plan.fetch if e.info_hash == torrent.info_hash)
        reason = metainfo if isinstance(metainfo, str) else await self._want(item, metainfo, todo, tally.at)
        if reason is not None:
            tally.failed += 1
            tally.note(entry, action="fetch", segments=len(started), size=size, outcome=f"failed: {reason}")
            log.warning("item.fetch_failed", info_hash=torrent.info_hash, reason=reason)
            return
        tally.started_bytes += size
        tally.note(entry, action="fetch", segments=len(started), size=size, outcome="started")

    async def _want(self, item: Item, metainfo: Metainfo, todo: Difference, now: datetime) -> str | None:
        """Hand one item to the engine; returns why it was refused, None when it was taken."""
        try:
            await self._engine.want(item, metainfo, todo.wanted[metainfo.info_hash])
        except SmartnodeError as error:
            self._backoff.failed(metainfo.info_hash, str(error), now)
            return str(error)
        self._backoff.succeeded(metainfo.info_hash)
        return None
