"""What is remembered of an epoch is what the guard judges by: seen, since when, and never longer than it counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smartnode.cycle.epochs import Epochs
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.planning.guard import Evidence
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut
from smartnode.planning.siblings import Siblings

QUIET = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
LATER = QUIET + timedelta(minutes=30)
LAYOUT = Layout(total_size=Bytes(320), piece_length=Bytes(10))
CUT = Cut.of(LAYOUT)
SWARM = InfoHash("a" * 40)
POLICY = Policy()
FULL = Bitfield.full(32)


def name(number: int) -> NodeId:
    """The id of node *number*."""
    return node_id(NODE_ID_PREFIX + number.to_bytes(12, "big"))


def holder(number: int, now: datetime, pieces: Bitfield = FULL, *, smartnode: bool = True, host: str = "") -> Holder:
    """Node *number*, seen now."""
    return Holder(
        address=Address(host=host or f"198.51.{number}.1", port=6881),
        peer_id=name(number),
        client=None,
        smartnode=smartnode,
        pieces=pieces,
        first_seen=now,
        last_contact=now,
        progressed_at=None,
        witness=Witness.WIRE_PROBE,
    )


def see(epochs: Epochs, now: datetime, *holders: Holder, looked_at: datetime | None = None) -> None:
    """Let *epochs* take in a view of *holders*."""
    view = SwarmView(info_hash=SWARM, looked_at=looked_at or now, witness=Witness.WIRE_PROBE, holders=holders)
    epochs.saw(view, CUT, POLICY, now)


def told(epochs: Epochs, now: datetime, segment: int = 0, policy: Policy = POLICY) -> Evidence | None:
    """What the guard is told of one segment."""
    return epochs.hearing([(SWARM, segment)], policy, now, clock=None).evidence.get((SWARM, segment))


def test_who_was_seen_stays_seen_in_the_epoch() -> None:
    """Who let a segment go is still seen with it in this epoch, but holds it no more; in the next it is gone."""
    epochs = Epochs(name(0))
    see(epochs, QUIET, holder(1, QUIET), holder(2, QUIET))
    see(epochs, LATER, holder(1, LATER, FULL - Bitfield.from_indices([0], 32)))
    evidence = told(epochs, LATER)
    assert evidence is not None
    assert evidence.looked_quiet
    assert {rival.node: rival.holds for rival in evidence.rivals} == {name(1): False, name(2): False}
    assert {rival.node: rival.holds for rival in told(epochs, LATER, 1).rivals} == {name(1): True, name(2): False}
    after = QUIET + timedelta(hours=2)
    assert told(epochs, after) is None
    see(epochs, after, holder(1, after, FULL - Bitfield.from_indices([0], 32)))
    assert told(epochs, after).rivals == ()


def test_a_look_outside_the_quiet_window_is_not_one_inside() -> None:
    """Who first looked later in the epoch does not know who was there when it began."""
    epochs = Epochs(name(0))
    see(epochs, LATER, holder(1, LATER))
    assert not told(epochs, LATER).looked_quiet


def test_age_begins_anew_with_every_break() -> None:
    """The age counts from the first sighting without a break, over epochs."""
    epochs, day = Epochs(name(0)), QUIET + timedelta(hours=24)
    see(epochs, QUIET, holder(1, QUIET))
    see(epochs, LATER, holder(1, LATER, FULL - Bitfield.from_indices([0], 32)))
    see(epochs, day, holder(1, day))
    assert told(epochs, day, 0).rivals[0].age == timedelta(0)
    assert told(epochs, day, 1).rivals[0].age == timedelta(hours=24)


def test_proofs_grow_old() -> None:
    """A proof counts for A_guard and a failed one for the epoch, each for its own segment; nobody who was not asked is
    proved or a liar.
    """
    epochs = Epochs(name(0))
    see(epochs, QUIET, holder(1, QUIET), holder(2, QUIET))
    epochs.proved(name(1), (SWARM, 0), holds=True, now=QUIET)
    epochs.proved(name(2), (SWARM, 0), holds=False, now=QUIET)
    assert {r.node: r.proved for r in told(epochs, QUIET).rivals} == {name(1): True, name(2): False}
    assert {r.proved for r in told(epochs, QUIET, 1).rivals} == {None}
    later = QUIET + POLICY.a_guard + timedelta(seconds=1)
    see(epochs, later, holder(1, later))
    assert {r.node: (r.proved, r.holds) for r in told(epochs, later).rivals} == {
        name(1): (None, True),
        name(2): (False, False),
    }
    after = QUIET + timedelta(hours=2)
    see(epochs, after, holder(1, after), holder(2, after))
    assert {r.proved for r in told(epochs, after).rivals} == {None}


def test_who_did_not_answer_is_passed_over() -> None:
    """Silence counts for all segments until the epoch ends, unless the node proved one or is seen elsewhere."""
    epochs = Epochs(name(0))
    one = holder(1, QUIET)
    see(epochs, QUIET, one, holder(2, QUIET))
    epochs.proved(name(1), (SWARM, 0), holds=True, now=QUIET)
    epochs.failed(name(1), one.address, lied=False, now=QUIET)
    said = {n: {r.node: r.proved for r in told(epochs, QUIET, n).rivals} for n in (0, 1)}
    assert said == {0: {name(1): True, name(2): None}, 1: {name(1): False, name(2): None}}
    see(epochs, LATER, holder(1, LATER, host="203.0.113.1"))
    assert {r.node: r.proved for r in told(epochs, LATER, 1).rivals} == {name(1): None, name(2): None}
    see(epochs, LATER, replace(one, last_contact=LATER))
    assert {r.node: r.proved for r in told(epochs, LATER, 1).rivals} == {name(1): False, name(2): None}
    after = QUIET + timedelta(hours=2)
    see(epochs, after, holder(1, after))
    assert {r.proved for r in told(epochs, after, 1).rivals} == {None}


def test_a_lie_voids_what_was_proved() -> None:
    """Who lied about one segment, and whoever shares its network, is proved for none, wherever it is seen."""
    epochs = Epochs(name(0))
    liar, neighbour, other = holder(1, QUIET), holder(2, QUIET, host="198.51.1.77"), holder(3, QUIET)
    see(epochs, QUIET, liar, neighbour, other)
    for number in (1, 2, 3):
        epochs.proved(name(number), (SWARM, 0), holds=True, now=QUIET)
    epochs.failed(name(1), liar.address, lied=True, now=QUIET)
    for segment, honest in ((0, True), (1, None)):
        said = {r.node: r.proved for r in told(epochs, QUIET, segment).rivals}
        assert said == {name(1): False, name(2): False, name(3): honest}
    see(epochs, LATER, holder(1, LATER, host="203.0.113.1"))
    assert {r.node: r.proved for r in told(epochs, LATER, 1).rivals}[name(1)] is False


@pytest.mark.parametrize("changed", ["foreign", "old", "short", "hearsay"])
def test_what_is_no_sighting(changed: str) -> None:
    """A foreign client, no contact now, a bitfield of another torrent, a view that is not of now: nothing."""
    epochs, one = Epochs(name(0)), holder(1, QUIET)
    match changed:
        case "foreign":
            see(epochs, QUIET, replace(one, smartnode=False))
        case "old":
            see(epochs, QUIET, replace(one, last_contact=QUIET - timedelta(minutes=1)))
        case "short":
            see(epochs, QUIET, replace(one, pieces=Bitfield.full(31)))
        case _:
            see(epochs, QUIET, one, looked_at=QUIET - timedelta(minutes=1))
    evidence = told(epochs, QUIET)
    assert evidence is None or evidence.rivals == ()


def test_one_network_and_one_operator_are_one_group() -> None:
    """Holders in one /24 share a group, and so do siblings with whoever is beside one of them; the policy of the moment
    says who is one.
    """
    epochs = Epochs(name(0))
    hosts = {1: "198.51.100.1", 2: "198.51.100.2", 3: "203.0.113.1", 4: "192.0.2.1", 5: "192.0.2.77"}
    see(epochs, QUIET, *(holder(number, QUIET, host=host) for number, host in hosts.items()))
    policy = replace(POLICY, siblings=Siblings.of([name(3).hex(), "192.0.2.1"]))
    groups = {rival.node: rival.group for rival in told(epochs, QUIET, policy=policy).rivals}
    assert groups[name(1)] == groups[name(2)] != groups[name(3)]
    assert groups[name(3)] == groups[name(4)] == groups[name(5)]
    alone = {rival.node: rival.group for rival in told(epochs, QUIET).rivals}
    assert alone[name(3)] != alone[name(4)] == alone[name(5)]
    assert epochs.address_of(name(4), SWARM) == Address(host="192.0.2.1", port=6881)
    assert epochs.address_of(name(9), SWARM) is None


def test_every_held_swarm_has_its_turn_in_a_quiet_window() -> None:
    """Each is looked at until it was seen, the others before the same one again; nobody looks later in the epoch, and
    what a window was too short for comes first in the next.
    """
    epochs, held = Epochs(name(0)), [InfoHash(f"{n:040x}") for n in range(7)]

    def look(now: datetime, *learned: int) -> list[int]:
        asked = epochs.to_look(held, POLICY, now, count=3)
        for n in learned:
            epochs.saw(SwarmView(info_hash=held[n], looked_at=now, witness=Witness.DHT), CUT, POLICY, now)
        return [held.index(h) for h in asked]

    minute = timedelta(minutes=1)
    assert look(QUIET, 0, 2) == [0, 1, 2]
    assert look(QUIET + minute, 3, 4, 5) == [3, 4, 5]
    assert look(QUIET + 2 * minute) == [6, 1]
    assert look(LATER) == []
    assert look(QUIET + timedelta(hours=2), 0) == [0, 2, 3]
    assert look(QUIET + timedelta(hours=2) + minute) == [4, 5, 1]
