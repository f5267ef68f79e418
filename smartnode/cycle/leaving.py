"""What leaves with proof: looked at while the epoch is quiet, proved right before it goes, and never on old evidence.

In the quiet window of each epoch the swarms that are held are looked at, so that later in the epoch this node knows who
else holds what. Then, when the node is over its quota or its swap is due, the segments that the plan contests are
looked at again, their better-ranked holders are asked for blocks, and the plan is made once more with what they proved.

All of that has to fit into A_guard: looks take half of the time, asking at most half of what is left. Where somebody
did not prove what it claims, others are asked in one more round; asking ends at once when the host needs the node
elsewhere. What this does not come to has its turn in a later cycle.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Protocol

import structlog

from smartnode.cycle.asking import ask_in_turn
from smartnode.cycle.epochs import Epochs
from smartnode.cycle.rooms import Rooms
from smartnode.cycle.tenures import Tenures
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.plan import Plan, SegmentRef
from smartnode.domain.proof import Challenge, Question, Verdict
from smartnode.domain.swarm import SwarmView
from smartnode.errors import EngineError, LedgerError
from smartnode.metainfo.blocks import choose
from smartnode.planning.guard import Hearing, Rival, Segment
from smartnode.planning.policy import Policy
from smartnode.planning.ranks import rank
from smartnode.planning.segments import Cut

SEGMENTS_PER_CYCLE = 64
"""Segments that one cycle proves, at most."""
LOOKS_AT_ONCE = 16
"""Held swarms that are looked at together while the epoch is quiet; the daemon comes forty times in each."""
FRESH_LOOKS_AT_ONCE = 8
"""Contested swarms that are looked at together: so long nobody asks whether there is time left."""
LOOKS_SHARE = 0.5
"""Part of the time that proofs hold after which no more looks begin."""
SPARE = 1
"""Holders asked beyond those that are needed, because not every one answers."""
ROUNDS = 2
"""Rounds of asking in one cycle: the second passes over those who failed in the first."""
MARGIN = timedelta(seconds=2)
"""Before an epoch ends, or a proof grows old, nothing is begun any more."""

_FAILED = frozenset({Verdict.UNKNOWN, Verdict.LIAR})
"""After which a holder is not asked about its other segments either."""

log = structlog.get_logger(__name__)


class Planning(Protocol):
    """Whoever makes plans."""

    async def __call__(self, *, hearing: Hearing, swapping: bool) -> Plan:
        """Plan with what the guard may know; *swapping*: this is the cycle of a swap."""
        ...


class Leaving:
    """Collects the evidence for the guard."""

    def __init__(self, rooms: Rooms, *, node: NodeId) -> None:
        """Read our own blocks from the engine, ask holders through the swarm room, and the time's trust of the clock;
        who lied and the ages of holders are kept in the ledger.
        """
        self._engine = rooms.engine
        self._swarm = rooms.swarm
        self._ledger = rooms.ledger
        self._clock = rooms.clock
        self._node = node
        self._epochs = Epochs(node)
        self.tenures = Tenures(self._epochs, rooms.ledger, rooms.clock)
        self._swapped: int | None = None
        self._dice = SystemRandom()
        self.deadline = 0.0
        """Until when, on the monotonic clock, what the last decision proved may go: within its epoch and A_guard."""

    async def start(self) -> None:
        """Take up who lied before the start."""
        self._swarm.know(await self._ledger.lies())

    def saw(self, views: Mapping[InfoHash, SwarmView], policy: Policy, now: datetime) -> None:
        """Take in what was just seen of swarms of which something is held."""
        holdings = self._engine.holdings()
        self.tenures.restore(holdings, now)
        for info_hash, holding in holdings.items():
            if info_hash in views:
                self._epochs.saw(views[info_hash], Cut.of(holding.layout), policy, now)

    def to_witness(self, policy: Policy, now: datetime) -> list[InfoHash]:
        """Return held swarms to be looked at now because the epoch is quiet."""
        held = [h for h, holding in self._engine.holdings().items() if holding.have.count()]
        return self._epochs.to_look(held, policy, now, count=LOOKS_AT_ONCE)

    async def decide(
        self,
        plan: Planning,
        look: Callable[[Sequence[InfoHash]], Awaitable[None]],
        *,
        over_quota: bool,
        policy: Policy,
        now: datetime,
        called_off: asyncio.Event,
    ) -> Plan | None:
        """Return the plan whose evictions are proved, None when nothing is to leave now; *look* looks at swarms. Set
        *called_off* and nobody is waited for any more.
        """
        number = policy.terms.swap_number(self._node, now)
        if policy.terms.is_quiet(now) or not (over_quota or number != self._swapped):
            return None
        self._swapped, swapping = (self._swapped, False) if over_quota else (number, True)
        spent = max(0.0, (datetime.now(UTC) - now).total_seconds())
        left = min(policy.terms.epoch - policy.terms.into_epoch(now), policy.a_guard) - MARGIN
        left_s = left.total_seconds() - spent
        begun = time.monotonic()
        self.deadline = begun + left_s
        looked: set[InfoHash] = set()
        proved = 0
        for _ in range(ROUNDS):
            contested = (await plan(hearing=self.hearing(policy, now), swapping=swapping)).contested
            if ask := [segment for segment in contested if segment.info_hash not in looked]:
                looked |= await self._look_again(ask, look, until=begun + LOOKS_SHARE * left_s)
                contested = (await plan(hearing=self.hearing(policy, now), swapping=swapping)).contested
            asked = [segment for segment in contested if segment.info_hash in looked]
            if not asked:
                break
            found, failed = await self._prove(asked, policy, now, called_off)
            proved += found
            if not failed:
                break
        return await plan(hearing=self.hearing(policy, now), swapping=swapping) if proved else None

    def hearing(self, policy: Policy, now: datetime) -> Hearing:
        """Return what the guard may know now."""
        return self._epochs.hearing(self._segments(), policy, now, clock=self._clock.doubt(now))

    async def _look_again(
        self,
        contested: Sequence[SegmentRef],
        look: Callable[[Sequence[InfoHash]], Awaitable[None]],
        *,
        until: float,
    ) -> set[InfoHash]:
        """Look at the swarms of *contested* segments, a few at a time *until* (monotonic); returns those that were."""
        swarms = list(dict.fromkeys(segment.info_hash for segment in contested[:SEGMENTS_PER_CYCLE]))
        looked: set[InfoHash] = set()
        for at in range(0, len(swarms), FRESH_LOOKS_AT_ONCE):
            if time.monotonic() > until:
                break
            some = swarms[at : at + FRESH_LOOKS_AT_ONCE]
            await look(some)
            looked.update(some)
        return looked

    async def _prove(
        self, contested: Sequence[SegmentRef], policy: Policy, now: datetime, called_off: asyncio.Event
    ) -> tuple[int, int]:
        """Ask the better-ranked holders of *contested* segments for proof; returns how many proved to hold theirs, and
        how many did not.
        """
        holdings = self._engine.holdings()
        hearing = self.hearing(policy, now)
        queues: dict[NodeId, list[tuple[SegmentRef, NodeId]]] = {}
        for segment in contested[:SEGMENTS_PER_CYCLE]:
            for rival in self._able(segment, hearing, policy, now) if segment.info_hash in holdings else ():
                queues.setdefault(rival.node, []).append((segment, rival.node))
        verdicts: list[Verdict] = []

        async def ask(question: tuple[SegmentRef, NodeId]) -> bool:
            segment, node = question
            verdict = await self._ask(segment, node, holdings[segment.info_hash], now)
            verdicts.extend(() if verdict is None else (verdict,))
            return verdict not in _FAILED

        within_s = (self.deadline - time.monotonic()) / 2
        await ask_in_turn(queues.values(), ask, within_s=within_s, called_off=called_off)
        if Verdict.LIAR in verdicts:
            await self._remember_lies(now)
        proved = verdicts.count(Verdict.PROVED)
        log.info("eviction.proofs", asked=len(verdicts), proved=proved, segments=len(contested))
        return proved, len(verdicts) - proved

    def _able(self, segment: SegmentRef, hearing: Hearing, policy: Policy, now: datetime) -> list[Rival]:
        """Better-ranked holders that are worth asking, one per network, the best-ranked first."""
        epoch = policy.terms.epoch_of(now)

        def rank_of(node: NodeId) -> float:
            return rank(node, segment.info_hash, segment=segment.number, epoch=epoch)

        told = hearing.evidence.get(segment.key)
        hopeful = [] if told is None else [r for r in told.rivals if r.holds and r.proved is None]
        better = [rival for rival in hopeful if rank_of(rival.node) > rank_of(self._node)]
        groups: dict[str, Rival] = {}
        for rival in sorted(better, key=lambda r: rank_of(r.node), reverse=True):
            groups.setdefault(rival.group, rival)
        return list(groups.values())[: policy.terms.k + 1 + SPARE]

    async def _ask(self, segment: SegmentRef, node: NodeId, holding: Holding, now: datetime) -> Verdict | None:
        """Ask *node* for blocks of *segment* and take in what came of it; None: our own copy could not be read."""
        address = self._epochs.address_of(node, segment.info_hash)
        assert address is not None, "who was seen was seen somewhere"
        blocks = choose(holding.layout, segment.pieces, self._dice)
        try:
            ours = await self._engine.read(segment.info_hash, blocks)
        except EngineError as error:
            log.warning("eviction.own_copy_unreadable", info_hash=segment.info_hash, reason=str(error))
            return None
        challenge = Challenge(
            info_hash=segment.info_hash,
            layout=holding.layout,
            holder=node,
            pieces=segment.pieces,
            questions=tuple(Question(block=b, answer=a) for b, a in zip(blocks, ours, strict=True)),
        )
        outcome = await self._swarm.prove(address, challenge)
        if outcome.verdict in _FAILED:
            log.debug("eviction.unproved", info_hash=segment.info_hash, reason=outcome.reason)
            self._epochs.failed(node, address, lied=outcome.verdict is Verdict.LIAR, now=now)
        else:
            self._epochs.proved(node, segment.key, holds=outcome.verdict is Verdict.PROVED, now=now)
        return outcome.verdict

    async def _remember_lies(self, now: datetime) -> None:
        try:
            await self._ledger.remember_lies(self._swarm.lies(now))
        except LedgerError as error:
            log.warning("swarm.lies_not_kept", reason=str(error))

    def _segments(self) -> Iterable[Segment]:
        """Yield every segment of which something is held."""
        for info_hash, holding in self._engine.holdings().items():
            touched = Cut.of(holding.layout).touched(holding.have.to_array())
            for number in touched.nonzero()[0].tolist():
                yield info_hash, number
