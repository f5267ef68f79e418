"""The guard: who may let a segment go, and that no interleaving of nodes destroys the last copy."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.planning.guard import Evidence, Hearing, Rival, Segment, Stakes, Verdict, judge
from smartnode.planning.ranks import rank
from smartnode.planning.terms import Terms

SEGMENT: Segment = (InfoHash("a" * 40), 3)
NOW = datetime(2026, 3, 1, 13, tzinfo=UTC)
A_GUARD = timedelta(minutes=5)
TERMS = Terms()
PLENTY = Stakes(floor=2, shrunk=False, mirrors=1)


def named(number: int) -> NodeId:
    """Return the id of node *number*."""
    return node_id(NODE_ID_PREFIX + number.to_bytes(12, "big"))


def by_rank(count: int, now: datetime = NOW, terms: Terms = TERMS) -> list[NodeId]:
    """Return *count* nodes, the lowest-ranked of the epoch first."""
    info_hash, number = SEGMENT
    return sorted(map(named, range(count)), key=lambda n: rank(n, info_hash, segment=number, epoch=terms.epoch_of(now)))


def rival(node: NodeId, **changed: object) -> Rival:
    """Return a proved holder in a network of its own."""
    values: dict[str, object] = {"group": node.hex(), "holds": True, "age": timedelta(days=2), "proved": True}
    return Rival(node=node, **(values | changed))


def ask(*rivals: Rival, me: NodeId, now: datetime = NOW, stakes: Stakes = PLENTY, **changed: object) -> Verdict:
    """Ask whether *me* may let the segment go."""
    told = Evidence(rivals=rivals, looked_quiet=bool(changed.get("looked_quiet", True)))
    hearing = Hearing(evidence={SEGMENT: told}, clock=changed.get("clock"))
    return judge(hearing, SEGMENT, stakes, node=me, now=now, terms=TERMS)


def test_only_the_lowest_may_go() -> None:
    """Of four holders only the lowest-ranked is permitted; the others wait for it, and say so."""
    nodes = by_rank(4)
    verdicts = [ask(*(rival(n) for n in nodes if n != me), me=me) for me in nodes]
    assert [each.permitted for each in verdicts] == [True, False, False, False]
    assert (verdicts[0].proved, verdicts[0].required, verdicts[0].seen) == (3, 2, 3)
    assert "1 of 3 holders are ranked below this node" in verdicts[1].reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"proved": None}, "1 of them proved, 2 seen"),
        ({"proved": False}, "1 of them proved, 2 seen"),
        ({"holds": False}, "1 of them proved, 2 seen"),
        ({"age": timedelta(hours=11)}, "1 of them proved, 2 seen"),
        ({"group": "the other's"}, "1 of them proved, 2 seen"),
    ],
)
def test_what_is_no_proof(changed: dict[str, object], reason: str) -> None:
    """Two better-ranked holders are needed; one that is unproved, gone, young, or beside the other is none."""
    me, one, other = by_rank(3)
    refused = ask(rival(one, group="the other's"), rival(other, **changed), me=me)
    assert (refused.permitted, refused.reason.split(": ", 1)[1]) == (False, reason)
    assert ask(rival(one), rival(other), me=me).permitted


def test_old_looks_are_provable() -> None:
    """Holders seen earlier in the epoch permit nothing, and are worth another look and a proof; liars are not."""
    me, *others = by_rank(3)
    old = ask(*(rival(n, holds=False, proved=None) for n in others), me=me)
    assert (old.permitted, old.provable) == (False, True)
    liar = ask(*(rival(n, proved=False) for n in others), me=me)
    assert (liar.permitted, liar.provable) == (False, False)


def test_unknown_refuses() -> None:
    """No evidence, no look while the epoch was quiet, a quiet epoch, a doubtful clock: nothing goes."""
    me, *others = by_rank(4)
    proved = [rival(n) for n in others]
    assert not judge(Hearing(clock=None), SEGMENT, PLENTY, node=me, now=NOW, terms=TERMS).permitted
    assert "while this epoch was quiet" in ask(*proved, me=me, looked_quiet=False).reason
    assert "the kernel" in ask(*proved, me=me, clock="the kernel does not call the clock synchronised").reason
    me, *others = by_rank(4, NOW + timedelta(hours=1))
    early = ask(*(rival(n) for n in others), me=me, now=NOW + timedelta(hours=1, minutes=19, seconds=59))
    assert "has just begun" in early.reason
    assert ask(*(rival(n) for n in others), me=me, now=NOW + timedelta(hours=1, minutes=20)).permitted


@pytest.mark.parametrize(
    ("stakes", "others", "age_h", "permitted"),
    [
        (Stakes(floor=1, shrunk=False, mirrors=1), 1, 12, True),
        (Stakes(floor=1, shrunk=False, mirrors=0), 1, 12, False),
        (Stakes(floor=2, shrunk=False, mirrors=1), 1, 12, False),
        (Stakes(floor=2, shrunk=True, mirrors=1), 1, 12, False),
        (Stakes(floor=2, shrunk=True, mirrors=1), 1, 24, True),
        (Stakes(floor=2, shrunk=True, mirrors=None), 1, 24, False),
        (Stakes(floor=2, shrunk=False, mirrors=None), 2, 12, False),
        (Stakes(floor=2, shrunk=False, mirrors=None), 3, 12, True),
        (Stakes(floor=2, shrunk=False, mirrors=1, urgent=True), 1, 12, True),
        (Stakes(floor=2, shrunk=False, mirrors=1, urgent=True), 1, 11, False),
        (Stakes(floor=2, shrunk=False, mirrors=0, urgent=True), 2, 12, False),
    ],
)
def test_how_many(*, stakes: Stakes, others: int, age_h: int, permitted: bool) -> None:
    """K = 2, 1 at a low level, a lowered quota (then holders of a day) or for a first copy, and one more without a live
    mirror, where a first copy is no reason.
    """
    me, *rest = by_rank(others + 1)
    told = [rival(n, age=timedelta(hours=age_h)) for n in rest]
    assert ask(*told, me=me, stakes=stakes).permitted is permitted


def ordeal(seed: int, terms: Terms, *, skew: timedelta) -> int:
    """Nodes that all want to let one segment go, for ten epochs; returns how many hold it in the end.

    An adversary chooses who acts when, how old each proof is (up to A_guard), how wrong each clock is (up to *skew*),
    and which holders a node never sees. Now and then somebody fetches the segment again.
    """
    dice = random.Random(seed)
    nodes = [named(number) for number in range(dice.randint(2, 6))]
    clocks = {node: dice.uniform(-1, 1) * skew for node in nodes}
    sees = {(a, b): dice.random() < dice.choice([1.0, 0.8]) for a in nodes for b in nodes}
    since: dict[NodeId, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    start = NOW - timedelta(days=2)
    for node in nodes:
        since[node].append((start, None))
    moments = sorted(NOW + timedelta(hours=20) * dice.random() for _ in range(dice.choice([0, 20, 400])))
    change = NOW - terms.into_epoch(NOW)
    moments += [change + terms.epoch * e + dice.uniform(-1, 1) * A_GUARD for e in range(1, 11) for _ in range(20)]
    for now in sorted(moments):
        me = dice.choice(nodes)
        if not held(since[me], now):
            if dice.random() < 0.05:
                since[me].append((now, None))
            continue
        mine = now + clocks[me]
        began = mine - terms.into_epoch(mine) - clocks[me]
        rivals = []
        for other in nodes:
            proved = held(since[other], now - A_GUARD * dice.random())
            seen = proved or any(end is None or end >= began for begin, end in since[other] if begin <= now)
            if other != me and sees[me, other] and seen:
                rivals.append(rival(other, holds=proved))
        told = Evidence(rivals=tuple(rivals), looked_quiet=True)
        hearing = Hearing(evidence={SEGMENT: told}, clock=None)
        stakes = Stakes(floor=1, shrunk=False, mirrors=1)
        if judge(hearing, SEGMENT, stakes, node=me, now=mine, terms=terms).permitted:
            begin, _ = since[me].pop()
            since[me].append((begin, now))
    end = NOW + timedelta(hours=21)
    return sum(held(since[node], end) for node in nodes)


def held(intervals: list[tuple[datetime, datetime | None]], at: datetime) -> bool:
    """Return whether one of *intervals* covers *at*."""
    return any(begin <= at and (end is None or at < end) for begin, end in intervals)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_no_interleaving_destroys_the_last_copy(seed: int) -> None:
    """Old proofs, wrong clocks and unseen holders: somebody always keeps the segment."""
    assert ordeal(seed, TERMS, skew=TERMS.quiet / 4) >= 1


def test_evictions_go_on() -> None:
    """The guard is no brake for ever: of the nodes that want to let the segment go most do."""
    left = [ordeal(seed, TERMS, skew=TERMS.quiet / 4) for seed in range(30)]
    assert sum(left) < 30 * 2.5


def test_without_the_quiet_window_the_last_copy_goes() -> None:
    """The law above can fail: with a quiet window shorter than a proof's age, copies are destroyed."""
    terms = Terms(quiet=timedelta(seconds=1))
    assert min(ordeal(seed, terms, skew=TERMS.quiet / 4) for seed in range(300)) == 0


def test_without_k_the_last_copy_goes() -> None:
    """The law above can fail: when no other holder is asked for, copies are destroyed."""
    terms = Terms()
    object.__setattr__(terms, "k", 0)  # no configuration can do this
    assert _alone(terms)
    assert not _alone(TERMS)


def _alone(terms: Terms) -> bool:
    """Return whether a sole holder may let go."""
    hearing = Hearing(evidence={SEGMENT: Evidence(looked_quiet=True)}, clock=None)
    return judge(hearing, SEGMENT, PLENTY, node=named(1), now=NOW, terms=terms).permitted


def test_terms_are_checked() -> None:
    """A quiet window as long as the epoch, or K = 0, is refused; swap periods of two nodes begin apart."""
    for wrong in ({"quiet": TERMS.epoch}, {"quiet": timedelta(0)}, {"k": 0}, {"holder_age_swap": timedelta(-1)}):
        with pytest.raises(ValueError, match="not Terms"):
            Terms(**wrong)
    numbers = {TERMS.swap_number(named(n), NOW + timedelta(minutes=m)) for n in range(9) for m in range(0, 60, 6)}
    assert len(numbers) == 2
    for n in range(9):
        steps = [TERMS.swap_number(named(n), NOW + timedelta(minutes=m)) for m in range(300)]
        assert steps[-1] - steps[0] in {4, 5}
        assert steps == sorted(steps)
