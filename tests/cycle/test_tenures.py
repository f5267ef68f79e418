"""Ages outlive a restart and are never longer than what was seen, whenever the node is killed."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.cycle.epochs import Epochs
from smartnode.cycle.tenures import Tenures
from smartnode.daemon.clock import Clock
from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.ledger.ledger import FILE_NAME, Ledger
from smartnode.planning.guard import Evidence
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut
from smartnode.planning.terms import Terms
from smartnode.swarm.views import merge

START = datetime(2026, 3, 1, 12, 1, 0, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
LAYOUT = Layout(total_size=Bytes(40), piece_length=Bytes(10))
CUT = Cut.of(LAYOUT)
SWARM = InfoHash("a" * 40)
HELD = {SWARM: Holding(info_hash=SWARM, layout=LAYOUT, have=Bitfield.full(4), wanted=Bitfield.full(4))}
POLICY = Policy()
ALL = frozenset(range(4))
Sight = dict[int, frozenset[int]]
"""Nodes and the segments that they are seen with."""


def name(number: int) -> NodeId:
    """The id of node *number*."""
    return node_id(NODE_ID_PREFIX + number.to_bytes(12, "big"))


def holder(number: int, segments: frozenset[int], now: datetime) -> Holder:
    """Node *number*, seen now."""
    return Holder(
        address=Address(host=f"198.51.{number}.1", port=6881),
        peer_id=name(number),
        client=None,
        smartnode=True,
        pieces=Bitfield.from_indices(sorted(segments), 4),
        first_seen=now,
        last_contact=now,
        progressed_at=None,
        witness=Witness.WIRE_PROBE,
    )


def evidence(epochs: Epochs, segment: int, now: datetime) -> Evidence:
    """What the guard is told of one segment."""
    return epochs.hearing([(SWARM, segment)], POLICY, now, clock=None).evidence.get((SWARM, segment), Evidence())


@dataclass
class Node:
    """A node that is stopped and started, and beside it one that never is."""

    folder: Path
    now: datetime = START
    doubt: str | None = None
    view: SwarmView | None = None
    steady: Epochs = field(default_factory=lambda: Epochs(name(0)))
    began: dict[tuple[int, int], datetime] = field(default_factory=dict)
    met: dict[int, datetime] = field(default_factory=dict)

    async def start(self) -> None:
        """Start, also after a kill: the ledger that was open is left as it is."""
        self.ledger = Ledger(self.folder / FILE_NAME)
        await self.ledger.open()
        self.epochs = Epochs(name(0))
        self.tenures = Tenures(self.epochs, self.ledger, Clock(Terms(), kernel=lambda: self.doubt))
        await self.tenures.start(await self.ledger.views())

    async def restart(self, *, killed: bool) -> None:
        """Stop and start; *killed*: before what was seen could be written."""
        if not killed:
            await self.tenures.keep(self.now)
        await self.ledger.close()
        await self.start()

    async def look(self, seen: Sight) -> None:
        """Look at the swarm, as a cycle does: the view is written before anything rests on it."""
        found = [holder(number, segments, self.now) for number, segments in seen.items()]
        witness = Witness.WIRE_PROBE
        self.view = merge(self.view, info_hash=SWARM, seen=found, witness=witness, now=self.now, memory=POLICY.t_mem)
        await self.ledger.remember([self.view])
        self.tenures.restore(HELD, self.now)
        for epochs in (self.epochs, self.steady):
            epochs.saw(self.view, CUT, POLICY, self.now)
        for number, segments in seen.items():
            gone = self.now - self.met.get(number, self.now) > POLICY.t_mem
            self.met[number] = self.now
            for segment in ALL:
                if gone or segment not in segments:
                    self.began.pop((number, segment), None)
                if segment in segments:
                    self.began.setdefault((number, segment), self.now)

    def ages(self, segment: int = 0) -> dict[int, timedelta]:
        """How old the holders of a segment are."""
        return {int.from_bytes(r.node[8:], "big"): r.age for r in evidence(self.epochs, segment, self.now).rivals}

    def check(self) -> None:
        """Nobody is older than it was seen, and nothing of this epoch came back."""
        for segment in ALL:
            told, kept = (evidence(epochs, segment, self.now) for epochs in (self.epochs, self.steady))
            rivals = {rival.node: rival for rival in kept.rivals}
            assert told.looked_quiet <= kept.looked_quiet
            for rival in told.rivals:
                began = self.began.get((int.from_bytes(rival.node[8:], "big"), segment))
                true_age = timedelta(0) if began is None else self.now - began
                assert rival.age <= rivals[rival.node].age == true_age
                assert rival.holds <= rivals[rival.node].holds


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node that has never run."""
    made = Node(tmp_path)
    await made.start()
    yield made
    await made.ledger.close()


@pytest.mark.parametrize("doubt", [None, "at first"])
async def test_ages_count_on_after_a_restart(node: Node, doubt: str | None) -> None:
    """What was seen before counts on, to the second, from the first look that a sound clock dates; a segment that it
    was not seen with does not. Nothing of the epoch comes back: neither the quiet look nor who was seen in it.
    """
    await node.look({1: ALL, 2: ALL - {0}})
    node.now += 12 * HOUR
    await node.look({1: ALL, 2: ALL})
    assert evidence(node.epochs, 0, node.now).looked_quiet
    node.now += HOUR / 4
    await node.restart(killed=False)
    node.doubt = doubt
    node.now += HOUR / 4
    await node.look({3: ALL})
    assert not evidence(node.epochs, 0, node.now).looked_quiet
    assert node.ages() == {3: timedelta(0)}
    node.doubt = None
    node.now += HOUR / 2
    await node.look({1: ALL, 2: ALL})
    for segment, ages in ((0, {1: 13 * HOUR, 2: HOUR, 3: HOUR / 2}), (1, {1: 13 * HOUR, 2: 13 * HOUR, 3: HOUR / 2})):
        found = node.ages(segment)
        assert found.keys() == ages.keys()
        assert all(timedelta(0) <= ages[number] - found[number] < SECOND for number in ages)
    node.check()


async def test_a_kill_before_the_write_costs_the_age_and_hides_no_break(node: Node) -> None:
    """Seen without a segment, then with it again, then killed: what was written before does not bridge the break."""
    await node.look({1: ALL})
    await node.tenures.keep(node.now)
    for segments in (ALL - {0}, ALL):
        node.now += HOUR
        await node.look({1: segments})
    await node.restart(killed=True)
    node.now += HOUR
    await node.look({1: ALL})
    assert node.ages() == {1: timedelta(0)}


@pytest.mark.parametrize(("away", "age"), [(72 * HOUR, 73 * HOUR), (72 * HOUR + SECOND, timedelta(0))])
@pytest.mark.parametrize("stopped", [False, True])
async def test_not_seen_for_longer_than_t_mem_begins_anew(
    node: Node, away: timedelta, age: timedelta, *, stopped: bool
) -> None:
    """Whether the node ran meanwhile or not."""
    await node.look({1: ALL})
    node.now += HOUR
    await node.look({1: ALL})
    if stopped:
        await node.restart(killed=False)
    node.now += away
    await node.look({1: ALL})
    assert timedelta(0) <= age - node.ages()[1] < SECOND


@pytest.mark.parametrize("when", ["written", "read"])
async def test_a_clock_in_doubt_dates_no_age(node: Node, when: str) -> None:
    """What it dated is not written; what was written is not believed while the clock is in doubt."""
    node.doubt = "set by hand" if when == "written" else None
    await node.look({1: ALL})
    await node.restart(killed=False)
    node.doubt = "set by hand" if when == "read" else None
    node.now += 20 * HOUR
    await node.look({1: ALL})
    assert node.ages() == {1: timedelta(0)}


async def test_a_time_that_is_still_to_come_is_no_age(node: Node) -> None:
    """What a clock ahead of ours dated makes nobody old, not even from when ours agrees with it."""
    await node.look({1: ALL})
    node.now += 20 * HOUR
    await node.look({1: ALL})
    await node.restart(killed=False)
    node.now -= HOUR
    node.view = None
    await node.look({1: ALL})
    assert node.ages() == {1: timedelta(0)}


async def test_who_was_met_since_the_start_stays_young(node: Node) -> None:
    """What comes back late, once the clock is sound, does not bridge what was seen in between."""
    await node.look({1: ALL})
    await node.restart(killed=False)
    node.doubt = "not synchronised yet"
    node.now += 20 * HOUR
    await node.look({1: ALL - {0}})
    node.doubt = None
    node.now += HOUR
    await node.look({1: ALL})
    assert node.ages() == {1: timedelta(0)}
    node.check()


SEGMENTS = st.frozensets(st.integers(0, 3), max_size=4)
LOOKS = st.dictionaries(st.integers(1, 3), SEGMENTS, max_size=3)
HOURS = st.sampled_from([0.01, 0.3, 1, 5, 30, 71.9, 73])
STEPS = st.lists(
    st.one_of(
        LOOKS,
        HOURS,
        st.sampled_from(["keep", "stop", "kill", "doubt", "trust"]),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_no_history_makes_anybody_older_than_it_was_seen(steps: list[Sight | float | str]) -> None:
    """Looks, stops, kills and doubts in any order: an age that came back is at most that of a node which never stopped,
    and that is at most what was seen.
    """
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(Path(folder), steps))


async def _live(folder: Path, steps: list[Sight | float | str]) -> None:
    node = Node(folder)
    await node.start()
    for step in steps:
        match step:
            case dict():
                await node.look(step)  # what two looks of one moment see is one sight
                node.now += SECOND
            case float() | int():
                node.now += step * HOUR
            case "keep":
                await node.tenures.keep(node.now)
            case "stop" | "kill":
                await node.restart(killed=step == "kill")
            case _:
                node.doubt = "in doubt" if step == "doubt" else None
        node.check()
    await node.ledger.close()
