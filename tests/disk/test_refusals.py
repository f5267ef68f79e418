"""A disk that cannot be trusted is an error at the next look, never a reason to let go of anything."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from smartnode.disk.room import Disk
from smartnode.disk.sentinel import KNOWN_ROOT, SENTINEL
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.errors import DiskError

MakeDisk = Callable[..., Disk]
KEY = ItemKey(collection="c", id="x")
HASH = InfoHash("ab" * 20)


async def test_a_floor_as_large_as_the_disk_is_refused(make_disk: MakeDisk, tmp_path: Path) -> None:
    """No eviction could restore it: it must not cost a single copy. A byte less is the volunteer's word."""
    found = os.statvfs(tmp_path)
    total = found.f_blocks * found.f_frsize
    disk = make_disk(keep_free=total)
    with pytest.raises(DiskError, match=r"storage\.keep_free"):
        await disk.measure(Bytes(0))
    disk.set_limits(quota=Bytes(10**9), keep_free=Bytes(total - 1))
    assert (await disk.measure(Bytes(0))).below_floor > 0


async def test_a_state_that_vanishes_while_the_node_runs_is_noticed(make_disk: MakeDisk, tmp_path: Path) -> None:
    """Without its mark any folder would pass for the data root: each look and each repair refuses."""
    disk = make_disk()
    disk.prepare()
    await disk.measure(Bytes(0))
    (tmp_path / "state" / KNOWN_ROOT).unlink()
    for look in (disk.measure, disk.glance):
        with pytest.raises(DiskError, match="while the node ran"):
            await look(Bytes(0))
    with pytest.raises(DiskError, match="while the node ran"):
        disk.require_root()
    disk.release()


def test_an_absent_root_is_required_in_vain(make_disk: MakeDisk, tmp_path: Path) -> None:
    """An unmounted disk is an error before any piece is called lost; a mounted one is none."""
    disk = make_disk()
    disk.prepare()
    disk.require_root()
    (tmp_path / "root" / SENTINEL).unlink()
    with pytest.raises(DiskError, match="not mounted"):
        disk.require_root()
    disk.release()


async def test_data_is_found_in_either_place(make_disk: MakeDisk) -> None:
    """An item's folder counts wherever it is, whole or partial; a file of that name is no folder."""
    disk = make_disk()
    assert not await disk.holds_data(KEY, HASH)
    for place in (disk.places.whole(KEY, HASH), disk.places.partial(KEY, HASH)):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
        assert not await disk.holds_data(KEY, HASH)
        place.unlink()
        place.mkdir()
        assert await disk.holds_data(KEY, HASH)
        place.rmdir()
