"""The disk is prepared once, measured often, and shared with no second node."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smartnode.disk.room import LOCK, Disk
from smartnode.disk.sentinel import KNOWN_ROOT, SENTINEL
from smartnode.domain.pieces import Bytes
from smartnode.errors import DiskError, ExitCode

MIB = 1 << 20
MakeDisk = Callable[..., Disk]
OnMount = Callable[[str, str], str]


def test_preparing_makes_the_folders(make_disk: MakeDisk, tmp_path: Path) -> None:
    """State and cache are the user's alone; the root has its sentinel, and no trace of the trial is left."""
    disk = make_disk(root="deep/root")
    disk.prepare()
    disk.release()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "deep/root" / SENTINEL).read_text() == (tmp_path / "state" / KNOWN_ROOT).read_text()
    assert not list((tmp_path / "deep/root").glob("*trial*"))


def test_preparing_again_changes_nothing(make_disk: MakeDisk, tmp_path: Path) -> None:
    """A restart finds its own root."""
    for _ in range(2):
        disk = make_disk()
        disk.prepare()
        disk.release()
        said = (tmp_path / "root" / SENTINEL).read_text()
    assert (tmp_path / "root" / SENTINEL).read_text() == said


def test_a_trial_that_was_killed_is_cleared_away(make_disk: MakeDisk, tmp_path: Path) -> None:
    """What a killed start left in the root does not stay for ever."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".smartnode-trial-x").write_bytes(b"\1" * MIB)
    disk = make_disk()
    disk.prepare()
    disk.release()
    assert not (tmp_path / "root" / ".smartnode-trial-x").exists()


@pytest.mark.parametrize("shared", [{"root": "other"}, {"state": "other", "cache": "other-cache"}])
def test_two_nodes_never_share_state_or_root(make_disk: MakeDisk, tmp_path: Path, shared: dict[str, str]) -> None:
    """A second node with the same state, or with the same data root, is refused and told whose it is."""
    first = make_disk()
    first.prepare()
    with pytest.raises(DiskError, match=rf"another node \(pid {os.getpid()}\) uses {tmp_path}") as refused:
        make_disk(**shared).prepare()
    assert refused.value.exit_code is ExitCode.STORAGE
    first.release()


def test_the_lock_ends_with_its_holder(make_disk: MakeDisk) -> None:
    """After release, and after a refused start, the folders can be prepared again."""
    first = make_disk()
    first.prepare()
    with pytest.raises(DiskError):
        make_disk(state="other").prepare()
    first.release()
    first.release()
    again = make_disk()
    again.prepare()
    again.release()


def test_the_lock_ends_with_a_killed_process(make_disk: MakeDisk, tmp_path: Path) -> None:
    """A node that was killed leaves a lock file that binds nobody."""
    script = f"""
import os
from pathlib import Path
from smartnode.disk.room import Disk
at = Path({str(tmp_path)!r})
Disk(root=at / "root", state=at / "state", cache=at / "cache", quota=1, keep_free=0).prepare()
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert (tmp_path / "state" / LOCK).exists()
    disk = make_disk()
    disk.prepare()
    disk.release()


def test_a_missing_disk_is_not_made_anew(make_disk: MakeDisk, tmp_path: Path) -> None:
    """Once the state knows a root that is gone, nothing is created in its place."""
    disk = make_disk()
    disk.prepare()
    disk.release()
    (tmp_path / "root").rename(tmp_path / "unmounted")
    with pytest.raises(DiskError, match="not mounted"):
        disk.prepare()
    assert not (tmp_path / "root").exists()


async def test_nothing_is_measured_while_the_disk_is_absent(make_disk: MakeDisk, tmp_path: Path) -> None:
    """An empty mount point is an error, not an empty node; when the disk is back all is as before."""
    disk = make_disk()
    disk.prepare()
    (tmp_path / "root").rename(tmp_path / "unmounted")
    (tmp_path / "root").mkdir()
    with pytest.raises(DiskError, match="not mounted"):
        await disk.measure(Bytes(0))
    (tmp_path / "root").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "root")
    assert (await disk.measure(Bytes(0))).allocated > 0
    disk.release()


async def test_the_room_is_what_lies_on_the_disk(make_disk: MakeDisk, tmp_path: Path) -> None:
    """Payload, state and cache are allocated; what is no payload is overhead; in flight and limits are as given."""
    disk = make_disk(quota=123, keep_free=45)
    disk.prepare()
    before = await disk.measure(Bytes(7))
    (tmp_path / "root" / "c").mkdir()
    (tmp_path / "root" / "c" / "file").write_bytes(b"\1" * MIB)
    (tmp_path / "state" / "ledger").write_bytes(b"\1" * 2 * MIB)
    (tmp_path / "cache" / "t").write_bytes(b"\1" * 3 * MIB)
    after = await disk.measure(Bytes(7))
    folder = (tmp_path / "root" / "c").stat().st_blocks * 512
    assert after.allocated - before.allocated == 6 * MIB + folder
    assert after.overhead - before.overhead == 5 * MIB + folder
    assert (after.quota, after.in_flight, after.keep_free) == (123, 7, 45)
    found = os.statvfs(tmp_path)
    assert abs(after.disk_free - found.f_bavail * found.f_frsize) < 1 << 30
    disk.release()


async def test_the_nodes_own_marks_are_no_payload(make_disk: MakeDisk) -> None:
    """A root without items has no payload: sentinel and lock are overhead, which the reserve pays for."""
    disk = make_disk()
    disk.prepare()
    room = await disk.measure(Bytes(0))
    assert room.overhead == room.allocated > 0
    disk.release()


async def test_limits_change_at_run_time(make_disk: MakeDisk) -> None:
    """The next measurement carries the new quota and floor."""
    disk = make_disk()
    disk.prepare()
    disk.set_limits(quota=Bytes(5), keep_free=Bytes(6))
    room = await disk.measure(Bytes(0))
    assert (room.quota, room.keep_free) == (5, 6)
    disk.release()


def test_before_the_first_run_the_disk_is_measured_untouched(make_disk: MakeDisk, tmp_path: Path) -> None:
    """A dry run on a fresh host: nothing allocated, the free room of where the root will be, nothing made."""
    room = asyncio.run(make_disk(root="not/yet").measure(Bytes(0)))
    assert room.allocated == 0
    assert room.disk_free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(make_disk: MakeDisk, tmp_path: Path) -> None:
    """A file in the way is an error with its path and exit code 5, and locks nothing."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(DiskError, match=rf"{tmp_path}/state cannot be made .*choose a folder"):
        make_disk().prepare()


def test_a_lock_that_is_a_link_is_refused(make_disk: MakeDisk, tmp_path: Path) -> None:
    """The lock never writes through a link into another file."""
    (tmp_path / "state").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "state" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(DiskError, match="cannot be opened"):
        make_disk().prepare()
    assert (tmp_path / "precious").read_text() == "precious"


def test_empty_folders_go_up_to_the_root(make_disk: MakeDisk, tmp_path: Path) -> None:
    """An emptied item takes its empty parents along, never the root and never a folder with something in it."""
    disk = make_disk()
    disk.prepare()
    root = tmp_path / "root"
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "a" / "kept").write_text("")
    disk.remove_empty(root / "a" / "b" / "c")
    assert sorted(p.name for p in (root / "a").iterdir()) == ["kept"]
    disk.remove_empty(root / "a")
    disk.remove_empty(root / "gone")
    disk.remove_empty(root)
    assert (root / "a" / "kept").exists()
    disk.release()


def test_an_empty_root_stays(make_disk: MakeDisk, tmp_path: Path) -> None:
    """The root itself is never removed, even when nothing is in it."""
    (tmp_path / "root" / "a").mkdir(parents=True)
    make_disk().remove_empty(tmp_path / "root" / "a")
    make_disk().remove_empty(tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_no_folder_outside_the_root_is_removed(make_disk: MakeDisk, tmp_path: Path) -> None:
    """Neither directly, nor by dots, nor through a link."""
    disk = make_disk()
    disk.prepare()
    (tmp_path / "outside" / "empty").mkdir(parents=True)
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    for folder in ("outside/empty", "root/../outside/empty", "root/link/empty"):
        disk.remove_empty(tmp_path / folder)
    assert (tmp_path / "outside" / "empty").is_dir()
    disk.release()


def test_the_disk_punches_in_its_own_root(make_disk: MakeDisk, tmp_path: Path) -> None:
    """The engine's recipe: blocks come back, the size stays."""
    disk = make_disk()
    disk.prepare()
    file = tmp_path / "root" / "file"
    file.write_bytes(b"\1" * MIB)
    disk.punch(file, [(0, MIB // 2)])
    assert (file.stat().st_size, file.stat().st_blocks * 512) == (MIB, MIB // 2)
    disk.release()


def test_a_file_system_without_holes_is_refused(on_mount: OnMount) -> None:
    """Ramfs cannot punch: the start says so, names the cure, and does not take the root."""
    said = on_mount(
        "ramfs",
        """
        disk = Disk(root=folder / "root", state=beside / "state", cache=beside / "cache", quota=1, keep_free=0)
        try:
            disk.prepare()
        except DiskError as error:
            print(error, sorted(p.name for p in (folder / "root").iterdir()), (beside / "state/data-root").exists())
        """,
    )
    assert "no hole can be punched" in said
    assert "ext4, XFS, Btrfs" in said
    assert said.endswith("['.smartnode-lock'] False\n")


def test_a_full_new_disk_is_refused_and_a_full_known_one_is_not(on_mount: OnMount) -> None:
    """A root that was proved before is taken although it is full: only a running node can let go of data."""
    said = on_mount(
        "tmpfs -o size=2m",
        """
        import errno
        def fill():
            with open(folder / "ballast", "ab", buffering=0) as out:
                try:
                    while out.write(b"1" * 4096):
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        def disk():
            return Disk(root=folder / "root", state=beside / "state", cache=beside / "cache", quota=1, keep_free=0)
        (folder / "root").mkdir()
        fill()
        try:
            disk().prepare()
        except DiskError as error:
            print(error)
        (folder / "ballast").unlink()
        first = disk()
        first.prepare()
        first.release()
        fill()
        disk().prepare()
        print("prepared")
        """,
    )
    assert "cannot be written (No space left on device); free some room" in said
    assert said.endswith("prepared\n")


def test_a_read_only_disk_is_refused(on_mount: OnMount) -> None:
    """A file system that was remounted read-only after an error is named at the start."""
    said = on_mount(
        "tmpfs -o size=2m,ro",
        """
        try:
            Disk(root=folder, state=beside / "state", cache=beside / "cache", quota=1, keep_free=0).prepare()
        except DiskError as error:
            print(error)
        """,
    )
    assert "mounted is not writable" in said


def test_a_limit_on_file_sizes_is_named(make_disk: MakeDisk) -> None:
    """A host that lets the node write no file of 1 MiB is refused with the kernel's own words."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    try:
        with pytest.raises(DiskError, match=r"cannot be written \(File too large\)"):
            make_disk().prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
