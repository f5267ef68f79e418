"""Health counts distinct others that hold all of a segment, and never takes silence for absence."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.swarm import Address, Holder, SwarmView
from smartnode.planning.health import Health, distinct, observe
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut

LAYOUT = Layout(total_size=Bytes(320), piece_length=Bytes(5))  # 32 segments of two pieces
FULL = Bitfield.full(64)
HOUR = timedelta(hours=1)


def _observe(world: Any, view: SwarmView | None) -> Health:
    return observe(
        view,
        () if view is None else distinct(view.holders, world.node),
        Cut.of(LAYOUT),
        policy=Policy(),
        patience=Policy().t_urg,
        now=world.now,
    )


def test_a_copy_is_all_pieces_of_a_segment(world: Any) -> None:
    """A holder counts for the segments that it has whole, and for no other."""
    health = _observe(
        world, world.view(1, world.holder(1, FULL), world.holder(2, Bitfield.from_indices([0, 1, 2], 64)))
    )
    assert health.copies.tolist() == [2] + [1] * 31
    assert health.coming.sum() == 0
    assert health.known


def test_in_progress_counts_once(world: Any) -> None:
    """However many still download a segment, together they count once; a stalled one does not count."""
    part = Bitfield.from_indices([0, 1, 2], 64)
    fresh = [world.holder(each, part, progressed_at=world.now - HOUR / 2) for each in (1, 2)]
    stalled = world.holder(3, Bitfield.from_indices([6], 64), progressed_at=world.now - HOUR)
    assert _observe(world, world.view(1, *fresh, stalled)).coming.tolist() == [0, 1] + [0] * 30


@pytest.mark.parametrize(
    ("age", "last_contact", "known", "copies"),
    [
        (0 * HOUR, 0 * HOUR, True, 1),
        (0 * HOUR, 2 * HOUR, True, 1),
        (0 * HOUR, 2 * HOUR + timedelta(seconds=1), True, 0),  # urgent: looked, and nobody for T_urg
        (5 * HOUR, 7 * HOUR, True, 1),  # not looked since: nobody is known to have left
        (6 * HOUR, 6 * HOUR, True, 1),
        (6 * HOUR + timedelta(seconds=1), 7 * HOUR, False, 1),  # unknown, but remembered for the capacity
        (71 * HOUR, 72 * HOUR, False, 1),
        (72 * HOUR, 73 * HOUR, False, 0),
        (None, 0 * HOUR, False, 0),
        (-HOUR, -HOUR, False, 0),  # a time from the future is no evidence
    ],
)
def test_ages(world: Any, age: timedelta | None, last_contact: timedelta, *, known: bool, copies: int) -> None:
    """Views expire after A_max, holders after T_mem, and T_urg is measured at the look."""
    holder = world.holder(1, FULL, last_contact=world.now - last_contact)
    health = _observe(world, world.view(1, holder, age=age, mirrors=2))
    assert health.known is known
    assert health.copies.tolist() == [copies] * 32
    assert health.mirrors == (2 if known else None)


def test_urgency_is_per_segment(world: Any) -> None:
    """One holder online keeps the memory of the others alive, for the segments that it has."""
    gone = world.holder(1, FULL, last_contact=world.now - 3 * HOUR)
    here = world.holder(2, Bitfield.from_indices([0, 1], 64))
    assert _observe(world, world.view(1, gone, here)).copies.tolist() == [2] + [0] * 31


def test_no_view_and_foreign_bitfields(world: Any) -> None:
    """Nothing seen is unknown; a bitfield of another length is not believed."""
    assert not _observe(world, None).known
    assert _observe(world, world.view(1, world.holder(1, Bitfield.full(63)))).copies.sum() == 0


def test_one_peer_counts_once(world: Any) -> None:
    """Sightings that share a peer id or an address, also through a third, are one holder: the newest sighting."""
    home, away = Address(host="10.9.9.1", port=1), Address(host="10.9.9.2", port=2)
    old = world.holder(1, FULL, address=home, last_contact=world.now - HOUR)
    moved = world.holder(1, FULL, address=away, last_contact=world.now - HOUR / 2)
    renamed = world.holder(2, Bitfield.from_indices([0, 1], 64), address=away)
    assert distinct([old, moved, renamed], world.node) == [renamed]
    assert distinct([renamed, old], world.node) == [old, renamed]
    assert distinct([moved, old], world.node) == [moved]
    bridge = world.holder(2, FULL, address=home)
    assert distinct([old, renamed, bridge], world.node) == [max(bridge, renamed, key=lambda each: each.address)]


def test_self_and_nameless(world: Any) -> None:
    """This node is no other holder; peers without an id are told apart by their address."""
    itself = world.holder(1, FULL, peer_id=world.node)
    nameless = [world.holder(each, FULL, peer_id=bytes(20)) for each in (2, 3)]
    assert distinct([itself, *nameless], world.node) == nameless


@given(st.permutations(range(6)), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=6, max_size=6))
def test_order_of_holders_is_irrelevant(world: Any, order: list[int], names: list[tuple[int, int]]) -> None:
    """However sightings overlap, and in whatever order they come, the same holders remain, one per connected group."""
    holders: list[Holder] = [
        world.holder(
            peer, Bitfield.from_indices([number], 64), address=Address(host=f"10.0.0.{host}", port=1),
            last_contact=world.now - number * HOUR,
        )
        for number, (peer, host) in enumerate(names, start=1)
    ]  # fmt: skip
    groups: list[set[object]] = []
    for holder in holders:
        names_of: set[object] = {holder.peer_id, holder.address}
        joined = [group for group in groups if group & names_of]
        groups = [group for group in groups if not group & names_of] + [names_of.union(*joined)]
    found = distinct([holders[each] for each in order], world.node)
    assert {each.pieces for each in found} == {each.pieces for each in distinct(holders, world.node)}
    assert len(found) == len(groups)
