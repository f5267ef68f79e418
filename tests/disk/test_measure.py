"""What is measured and promised together never passes the quota, however far the writing got."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from smartnode.disk.room import Disk, _free
from smartnode.disk.sentinel import SENTINEL
from smartnode.disk.usage import measure
from smartnode.domain.pieces import Bytes
from smartnode.errors import DiskError

MakeDisk = Callable[..., Disk]
KIB = 1 << 10


def test_the_free_room_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    """Before the root exists its parent's file system answers."""
    found = os.statvfs(tmp_path)
    assert abs(_free(tmp_path / "not" / "yet") - found.f_bavail * found.f_frsize) < 1 << 30


def test_usage_of_a_growing_file_is_its_blocks(tmp_path: Path) -> None:
    """Promised bytes become allocated ones as they are written, block by block: nothing is counted before."""
    with (tmp_path / "sparse").open("wb") as out:
        out.truncate(1 << 20)
        for written in range(1, 5):
            out.seek(written * 128 * KIB)
            out.write(b"\1" * 4096)
            out.flush()
            os.fsync(out.fileno())
            usage = measure([tmp_path], payload_root=tmp_path, not_payload=frozenset())
            assert written * 4096 <= usage.payload <= written * 4096 + 8192


def test_a_full_disk_is_measured_all_the_same(on_mount: Callable[[str, str], str]) -> None:
    """ENOSPC stops writing, not measuring: the free room is 0 and the floor is broken by all of keep_free."""
    said = on_mount(
        "tmpfs -o size=2m",
        """
        import asyncio, os
        disk = Disk(root=folder / "root", state=beside / "state", cache=beside / "cache", quota=10**9, keep_free=5)
        disk.prepare()
        with open(folder / "root" / "ballast", "wb", buffering=0) as out:
            try:
                while out.write(b"1" * 4096):
                    pass
            except OSError as error:
                print(error.errno)
        room = asyncio.run(disk.measure(0))
        print(room.disk_free, room.below_floor, room.disk_room)
        """,
    )
    assert said.split() == [str(errno.ENOSPC), "0", "5", "-5"]


async def test_a_piece_that_is_partly_written_never_makes_room(make_disk: MakeDisk, tmp_path: Path) -> None:
    """A piece in flight is promised whole until it is held: while it is written the free room only shrinks, and what is
    free together with what may still be written never passes the quota; once it is held the free room is as it was.
    """
    piece, quota = 256 * KIB, 8 << 20
    disk = make_disk(quota=quota)
    disk.prepare()
    with (tmp_path / "root" / "sparse").open("wb", buffering=0) as out:
        out.truncate(1 << 20)
        promised = await disk.measure(Bytes(piece))
        last = promised.free
        for written in range(32 * KIB, piece + 1, 32 * KIB):
            out.write(b"\1" * 32 * KIB)
            os.fsync(out.fileno())
            room = await disk.measure(Bytes(piece))
            assert room.free <= last
            assert room.allocated + (piece - written) + room.free <= quota
            last = room.free
    held = await disk.measure(Bytes(0))
    assert abs(held.free - promised.free) <= 16 * KIB
    disk.release()


async def test_overhead_beyond_the_reserve_is_taken_from_the_pieces(make_disk: MakeDisk, tmp_path: Path) -> None:
    """State that grows past the reserve leaves less for pieces, byte by byte, down to nothing; never past the quota."""
    disk = make_disk(quota=8 << 20)
    disk.prepare()
    before = await disk.measure(Bytes(0))
    assert before.free == before.quota - before.reserve
    for size in (before.reserve, 2 << 20, 9 << 20):
        (tmp_path / "state" / "ledger").write_bytes(b"\1" * size)
        room = await disk.measure(Bytes(0))
        assert room.overhead > room.reserve
        assert room.free == max(0, room.quota - room.allocated - room.reserve // 4)
    assert room.over_quota > 0
    disk.release()


async def test_a_glance_walks_no_folder(make_disk: MakeDisk, tmp_path: Path) -> None:
    """The first look measures; later ones carry the blocks of the last measurement with the limits and the promises of
    now; an absent root is an error for a glance too.
    """
    disk = make_disk()
    disk.prepare()
    first = await disk.glance(Bytes(1))
    (tmp_path / "root" / "file").write_bytes(b"\1" * 64 * KIB)
    disk.set_limits(quota=Bytes(5), keep_free=Bytes(6))
    glance = await disk.glance(Bytes(2))
    assert (glance.allocated, glance.overhead) == (first.allocated, first.overhead)
    assert (glance.in_flight, glance.quota, glance.keep_free) == (2, 5, 6)
    assert (await disk.measure(Bytes(2))).allocated == first.allocated + 64 * KIB
    (tmp_path / "root" / SENTINEL).unlink()
    for look in (disk.glance, disk.measure):
        with pytest.raises(DiskError, match="not mounted"):
            await look(Bytes(0))
    disk.release()
