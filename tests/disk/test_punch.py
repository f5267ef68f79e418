"""Holes are punched inside the root only, and the blocks really come back."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.disk.punch import _merged, punch
from smartnode.errors import DiskError

KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with one file of 1 MiB."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "file").write_bytes(b"\1" * MIB)
    return folder


def test_punched_runs_read_as_zeros_and_give_their_blocks_back(root: Path) -> None:
    """The size stays, the neighbours stay, the blocks go."""
    punch(root, root / "file", [(64 * KIB, 64 * KIB), (512 * KIB, 128 * KIB)])
    expected = bytearray(b"\1" * MIB)
    expected[64 * KIB : 128 * KIB] = bytes(64 * KIB)
    expected[512 * KIB : 640 * KIB] = bytes(128 * KIB)
    assert (root / "file").read_bytes() == expected
    assert (root / "file").stat().st_blocks * 512 == MIB - 192 * KIB


def test_a_run_beyond_the_end_does_not_grow_the_file(root: Path) -> None:
    """KEEP_SIZE: a last piece that ends inside a block gives its tail back too."""
    punch(root, root / "file", [(MIB - 4 * KIB, MIB)])
    assert (root / "file").stat().st_size == MIB


def test_no_runs_is_nothing(root: Path) -> None:
    """An empty list touches nothing."""
    punch(root, root / "file", [])
    assert (root / "file").read_bytes() == b"\1" * MIB


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12))
def test_merging_keeps_exactly_the_bytes_and_leaves_gaps(runs: list[tuple[int, int]]) -> None:
    """The merged runs cover the same bytes, ascending, none touching the next: one call each."""
    merged = _merged(runs)
    covered = {byte for offset, length in merged for byte in range(offset, offset + length)}
    assert covered == {byte for offset, length in runs for byte in range(offset, offset + length)}
    for (offset, length), (following, _) in pairwise(merged):
        assert offset + length < following


@pytest.mark.parametrize("run", [(-4096, 4096), (0, 0), (0, -1)])
def test_a_run_that_is_none_is_refused_before_anything_is_punched(root: Path, run: tuple[int, int]) -> None:
    """Negative offsets and empty lengths are errors of the caller; the good runs beside them stay unpunched."""
    with pytest.raises(DiskError, match="not a byte run"):
        punch(root, root / "file", [(0, 4096), run])
    assert (root / "file").read_bytes() == b"\1" * MIB


def test_a_file_outside_the_root_is_not_touched(root: Path, tmp_path: Path) -> None:
    """Directly, by dots, through a linked folder, through a linked file: refused, and not one byte changed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"\1" * MIB)
    (root / "folder").symlink_to(outside)
    (root / "link").symlink_to(outside / "precious")
    for path in (
        outside / "precious",
        root / ".." / "outside" / "precious",
        root / "folder" / "precious",
        root / "link",
    ):
        with pytest.raises(DiskError, match=r"is not a regular file inside|cannot be opened"):
            punch(root, path, [(0, MIB)])
    assert (outside / "precious").read_bytes() == b"\1" * MIB


def test_a_link_to_another_items_file_is_not_followed(root: Path) -> None:
    """A link inside the root to a file inside the root: the other item keeps its bytes."""
    (root / "link").symlink_to("file")
    with pytest.raises(DiskError, match="cannot be opened"):
        punch(root, root / "link", [(0, MIB)])
    assert (root / "file").read_bytes() == b"\1" * MIB


def test_a_root_that_only_begins_alike_is_another(root: Path, tmp_path: Path) -> None:
    """/data-old is not inside /data."""
    (tmp_path / "root-old").mkdir()
    (tmp_path / "root-old" / "file").write_bytes(b"\1" * KIB)
    with pytest.raises(DiskError, match="not a regular file inside"):
        punch(root, tmp_path / "root-old" / "file", [(0, KIB)])


def test_only_regular_files_are_punched(root: Path) -> None:
    """A pipe does not block and is refused, a folder too."""
    os.mkfifo(root / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(DiskError):
            punch(root, root / name, [(0, KIB)])


def test_a_missing_file_is_named(root: Path) -> None:
    """The error says which file."""
    with pytest.raises(DiskError, match=r"gone cannot be opened \(No such file"):
        punch(root, root / "gone", [(0, KIB)])


def test_no_descriptor_is_left_open(root: Path) -> None:
    """Neither success nor refusal leaks."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    punch(root, root / "file", [(0, KIB)])
    for path in (root / "gone", Path("/etc/hostname")):
        with pytest.raises(DiskError):
            punch(root, path, [(0, KIB)])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_offsets_beyond_four_gib_are_exact(root: Path) -> None:
    """64-bit offsets: a hole at 5 GiB of a sparse file frees those blocks, not those at 1 GiB."""
    with (root / "large").open("wb") as out:
        for gib in (1, 5):
            out.seek(gib << 30)
            out.write(b"\1" * 4096)
    punch(root, root / "large", [(5 << 30, 4096)])
    with (root / "large").open("rb") as file:
        file.seek(1 << 30)
        assert file.read(4096) == b"\1" * 4096
        file.seek(5 << 30)
        assert file.read(4096) == bytes(4096)


def test_a_run_that_the_kernel_refuses_is_named(root: Path) -> None:
    """Beyond the largest offset nothing can be punched: an error, not a wrapped number."""
    for run in ((0, 1 << 63), ((1 << 63) - 2, 1)):
        with pytest.raises(DiskError, match=r"not a byte run|no hole can be punched"):
            punch(root, root / "file", [run])
    assert (root / "file").read_bytes() == b"\1" * MIB


def test_without_proc_nothing_is_punched(on_mount: Callable[[str, str], str]) -> None:
    """Where the kernel cannot say which file was opened, none is touched."""
    said = on_mount(
        "tmpfs -o size=2m",
        """
        import subprocess
        from smartnode.disk.punch import punch
        (folder / "file").write_bytes(b"1" * 65536)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        try:
            punch(folder, folder / "file", [(0, 65536)])
        except DiskError as error:
            print(error, (folder / "file").read_bytes() == b"1" * 65536)
        """,
    )
    assert "mount /proc True" in said
