"""Room: what is promised counts as written, the reserve is never given away, and nothing wraps below zero."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bytes
from smartnode.domain.quota import MIB, Room, reserve_of

sizes = st.integers(0, 10**13).map(Bytes)
rooms = st.builds(
    lambda overhead, pieces, **kw: Room(overhead=overhead, allocated=Bytes(overhead + pieces), **kw),
    overhead=sizes,
    pieces=sizes,
    quota=sizes,
    in_flight=sizes,
    disk_free=sizes,
    keep_free=sizes,
)


@pytest.mark.parametrize(
    ("quota", "reserve"),
    [
        (0, 0),
        (80 * MIB, 4 * MIB),  # 5 % of a small quota
        (1280 * MIB, 64 * MIB),
        (5_000_000_000, 64 * MIB),
        (6400 * MIB, 64 * MIB),
        (500_000_000_000, 5_000_000_000),  # 1 % of a large one
    ],
)
def test_reserve(quota: int, reserve: int) -> None:
    """The reserve is min(max(64 MiB, 1 %), 5 % of the quota)."""
    assert reserve_of(Bytes(quota)) == reserve


@given(rooms)
def test_filling_the_free_room_stays_within_the_quota(room: Room) -> None:
    """When all that is free and all that is in flight was written, allocated bytes are within the quota."""
    assert room.free >= 0
    if room.free:
        full = room.allocated + room.in_flight + room.free
        assert full <= room.quota
        assert full - room.overhead + max(room.reserve, room.overhead + room.reserve // 4) == room.quota


@given(rooms, sizes)
def test_promises_are_spent_once(room: Room, promised: Bytes) -> None:
    """A promise takes its bytes off the free room and off the disk; writing it changes nothing more."""
    after = replace(room, in_flight=Bytes(room.in_flight + promised))
    assert after.free == max(0, room.free - promised) or room.free == 0
    assert after.disk_room == room.disk_room - promised
    written = replace(
        after,
        in_flight=room.in_flight,
        allocated=Bytes(room.allocated + promised),
        disk_free=Bytes(room.disk_free - promised),
    )
    assert (written.free, written.disk_room) == (after.free, after.disk_room)


@given(rooms)
def test_limits_broken(room: Room) -> None:
    """Over quota and below the floor are 0 exactly while the limit holds, and say by how much it does not."""
    assert room.over_quota == (room.allocated - room.quota if room.allocated > room.quota else 0)
    assert room.below_floor == (room.keep_free - room.disk_free if room.disk_free < room.keep_free else 0)
    assert not room.over_quota or not room.free
