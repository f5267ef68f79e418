"""What is measured is what du says: allocated blocks, each inode once."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from smartnode.disk.usage import Usage, measure
from smartnode.errors import DiskError

NONE: frozenset[str] = frozenset()
MIB = 1 << 20


def du(*folders: Path) -> int:
    """What coreutils says of *folders* together."""
    said = subprocess.run(
        ["du", "-x", "--block-size=1", "-s", "-c", "-D", *map(str, folders)], check=True, capture_output=True, text=True
    )
    return int(said.stdout.splitlines()[-1].split()[0])


def taken(*folders: Path, root: Path | None = None, apart: frozenset[str] = NONE) -> Usage:
    """Measure *folders*; payload lies below *root*, the first folder when None."""
    return measure(folders, payload_root=root or folders[0], not_payload=apart)


def fill(path: Path, size: int) -> Path:
    """Write *size* bytes that are not zero."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\1" * size)
    return path


def test_a_tree_measures_as_du_says(tmp_path: Path) -> None:
    """Files of all sizes, folders, links and special files: the sum is du's."""
    for number, size in enumerate((0, 1, 4095, 4096, 70_000, MIB)):
        fill(tmp_path / f"d{number}" / "deep" / "file", size)
    (tmp_path / "link").symlink_to("d5/deep/file")
    os.link(tmp_path / "d4/deep/file", tmp_path / "second-name")
    os.mkfifo(tmp_path / "pipe")
    assert taken(tmp_path).allocated == du(tmp_path)


def test_a_sparse_file_counts_its_blocks_only(tmp_path: Path) -> None:
    """A file of 1 GiB with 64 KiB written counts about 64 KiB."""
    with (tmp_path / "sparse").open("wb") as out:
        out.truncate(1 << 30)
        out.seek(1 << 29)
        out.write(b"\1" * 65536)
    assert 65536 <= taken(tmp_path).payload <= 65536 + 16384


def test_a_hard_link_counts_once(tmp_path: Path) -> None:
    """One inode under two names, even in two folders, is one."""
    fill(tmp_path / "root" / "a", MIB)
    (tmp_path / "state").mkdir()
    before = taken(tmp_path / "root", tmp_path / "state")
    os.link(tmp_path / "root" / "a", tmp_path / "root" / "b")
    os.link(tmp_path / "root" / "a", tmp_path / "state" / "c")
    assert taken(tmp_path / "root", tmp_path / "state") == before


def test_symlinks_are_not_followed(tmp_path: Path) -> None:
    """A link to a large folder elsewhere adds nothing of it."""
    fill(tmp_path / "elsewhere" / "big", MIB)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert taken(root).allocated < MIB // 2


def test_a_root_that_is_a_link_is_measured_where_it_leads(tmp_path: Path) -> None:
    """storage.path may be a symlink: its payload counts."""
    fill(tmp_path / "disk" / "file", MIB)
    (tmp_path / "data").symlink_to("disk")
    assert taken(tmp_path / "data").payload >= MIB


@pytest.mark.parametrize("inner", ["state", "root"])
def test_folders_in_each_other_count_once_and_payload_stays_payload(tmp_path: Path, inner: str) -> None:
    """The root below the state or the state below the root: the sum is du's, payload is the root's files only."""
    root = tmp_path / "outer" if inner == "state" else tmp_path / "outer" / "in"
    state = tmp_path / "outer" / "in" if inner == "state" else tmp_path / "outer"
    fill(root / "file", MIB)
    fill(state / "ledger", 2 * MIB)
    usage = taken(root, state, state, root=root)
    assert usage.allocated == du(tmp_path / "outer")
    assert MIB <= usage.payload < MIB + 65536


def test_what_is_not_payload_is_overhead(tmp_path: Path) -> None:
    """Folders, links and the files named apart are allocated without being payload."""
    fill(tmp_path / "file", MIB)
    fill(tmp_path / "mark", 8192)
    usage = taken(tmp_path, apart=frozenset({"mark"}))
    assert usage.allocated - usage.payload == tmp_path.stat().st_blocks * 512 + 8192


def test_a_folder_that_does_not_exist_counts_nothing(tmp_path: Path) -> None:
    """Before the first run there is nothing."""
    assert taken(tmp_path / "a", tmp_path / "b") == Usage(allocated=0, payload=0)  # type: ignore[arg-type]


def test_other_file_systems_are_not_crossed(on_mount: Callable[[str, str], str]) -> None:
    """What is mounted below the root belongs to somebody else: neither its files nor its mount point count.

    A root that is named by a link to such a disk counts what lies there.
    """
    said = on_mount(
        "tmpfs -o size=8m",
        """
        from smartnode.disk.usage import measure
        (beside / "file").write_bytes(b"1" * 65536)
        (folder / "foreign").write_bytes(b"1" * (1 << 20))
        print(measure([beside], payload_root=beside, not_payload=frozenset()).payload)
        (beside / "link").symlink_to(folder)
        print(measure([beside / "link"], payload_root=beside / "link", not_payload=frozenset()).payload)
        print(measure([beside, folder], payload_root=folder, not_payload=frozenset()).payload)
        """,
    )
    assert said.split() == ["65536", str(MIB), str(MIB)]


def test_deep_folders_are_walked_to_their_end(tmp_path: Path) -> None:
    """A torrent that nests hundreds of folders is counted to its end."""
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    (deep / "file").write_bytes(b"\1" * MIB)
    assert taken(tmp_path).payload == MIB


def test_a_root_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    """What cannot be measured is not taken for empty."""
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(DiskError, match=r"cannot be measured .*; check the disk"):
        taken(tmp_path / "circle")


def test_a_file_as_root_has_no_entries(tmp_path: Path) -> None:
    """A file where a folder was counts its own blocks only."""
    assert taken(fill(tmp_path / "file", MIB)).allocated == MIB


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    """A path that the kernel refuses (too long) is not skipped silently."""
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("n" * 250, dir_fd=here)
            below = os.open("n" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    with pytest.raises(DiskError, match="cannot be measured"):
        taken(tmp_path)
