"""What a host can do to a node's folders: other users, files that vanish, damaged marks, locks that are not known."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.disk.places import HASH_DIGITS, Places, safe_name
from smartnode.disk.punch import punch
from smartnode.disk.room import Disk
from smartnode.disk.sentinel import KNOWN_ROOT, SENTINEL, check, claim
from smartnode.disk.usage import _entries
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.errors import DiskError

MakeDisk = Callable[..., Disk]
NOBODY = 65534
KIB = 1 << 10

names = st.text(max_size=6) | st.sampled_from(
    ["a", "A", ".", "..", "a/b", "a_b", " a", "x" * 250, "x" * 251, "\0", "é" * 130]
)
hashes = st.sampled_from(["0123456789" * 4, "01234567" + "f" * 32, "f" * 40]).map(InfoHash)
items = st.tuples(st.builds(ItemKey, collection=names, id=names), hashes)


@given(items, items)
def test_two_torrents_share_a_folder_only_when_all_that_is_in_its_name_is_equal(
    one: tuple[ItemKey, InfoHash], other: tuple[ItemKey, InfoHash]
) -> None:
    """Same folder means: the same first digits of the info-hash, and names that are made safe alike."""
    places = Places(Path("/srv/data"))
    together = places.whole(*one) == places.whole(*other)
    assert together == (places.partial(*one) == places.partial(*other))
    if together:
        assert one[1][:HASH_DIGITS] == other[1][:HASH_DIGITS]
        assert safe_name(one[0].id) == safe_name(other[0].id)
        assert (safe_name(one[0].collection) or "_") == (safe_name(other[0].collection) or "_")


@given(items, items)
def test_whole_and_partial_items_never_meet(one: tuple[ItemKey, InfoHash], other: tuple[ItemKey, InfoHash]) -> None:
    """No whole item's folder is, holds or lies in a partial one's, whatever their names."""
    places = Places(Path("/srv/data"))
    whole, partial = places.whole(*one), places.partial(*other)
    assert not whole.is_relative_to(partial)
    assert not partial.is_relative_to(whole)


def test_what_vanishes_while_it_is_counted_counts_nothing(tmp_path: Path) -> None:
    """Files that go after the folder was listed, and a folder that goes before it is, are no error."""
    for number in range(50):
        (tmp_path / f"{number:02}").write_bytes(b"1")
    found = _entries(str(tmp_path))
    first = next(found)
    for file in tmp_path.iterdir():
        file.unlink()
    assert [first[0], *(entry[0] for entry in found)] == [first[0]]
    assert list(_entries(str(tmp_path / "gone"))) == []


def as_nobody(script: str, *folders: Path) -> str:
    """Run *script* with ``folders`` as an unprivileged user once everything is imported; returns stdout."""
    head = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from smartnode.disk.room import Disk, _free\n"
        "from smartnode.disk.usage import measure\n"
        "from smartnode.errors import DiskError\n"
        "folders = [Path(name) for name in sys.argv[1:]]\n"
        f"if os.getuid() == 0: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + script, *map(str, folders)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for closed in folder.iterdir():
        closed.chmod(0o700)
    shutil.rmtree(folder)


def made(folder: Path, name: str, *, mode: int, mine: bool = False) -> Path:
    """A folder of *mode*; unless *mine* it belongs to nobody, when we can give it away."""
    path = folder / name
    path.mkdir()
    path.chmod(mode)
    if not mine and os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


def test_a_root_of_another_user_is_refused(open_folder: Path) -> None:
    """A data root that the node's user may read and not write: DiskError with the cure, nothing left in it."""
    root = made(open_folder, "root", mode=0o555, mine=True)
    state, cache = made(open_folder, "state", mode=0o700), made(open_folder, "cache", mode=0o700)
    said = as_nobody(
        "root, state, cache = folders\n"
        "try:\n"
        "    Disk(root=root, state=state, cache=cache, quota=1, keep_free=0).prepare()\n"
        "except DiskError as error:\n"
        "    print(error)\n",
        root,
        state,
        cache,
    )
    assert "root is not writable; give it to the user that runs the node" in said
    assert list(root.iterdir()) == []


def test_a_closed_folder_below_the_root_is_not_ours(open_folder: Path) -> None:
    """Ext4 puts a ``lost+found`` that only root may read into every mount point: the walk goes on around it."""
    root = made(open_folder, "root", mode=0o755)
    made(root, "lost+found", mode=0o000, mine=True)
    (root / "file").write_bytes(b"1" * 8192)
    said = as_nobody("print(measure(folders, payload_root=folders[0], not_payload=frozenset()).payload)", root)
    (root / "lost+found").chmod(0o700)
    assert said == "8192\n"


def test_a_root_behind_a_closed_folder_is_an_error(open_folder: Path) -> None:
    """Where nothing can be looked at, neither usage nor free room is guessed."""
    closed = made(open_folder, "closed", mode=0o000, mine=True)
    said = as_nobody(
        "for work in (lambda: measure(folders, payload_root=folders[0], not_payload=frozenset()),\n"
        "             lambda: _free(folders[0])):\n"
        "    try:\n"
        "        print(work())\n"
        "    except DiskError as error:\n"
        "        print('refused:', error)\n",
        closed / "root",
    )
    assert said.count("refused:") == 2
    assert said.count("cannot be measured (Permission denied)") == 2


@pytest.mark.parametrize("said", [b"", b"\n", b"\0" * 33, b"0" * 31, b"0" * 33, b"g" * 32, b"\xff\xfe", b"x" * 10**6])
@pytest.mark.parametrize("where", ["root", "state"])
def test_a_damaged_mark_is_never_taken_for_a_missing_one(tmp_path: Path, said: bytes, where: str) -> None:
    """A state whose mark is cut or zeroed adopts nothing that lies at the path: that may be an empty mount point."""
    root, state = tmp_path / "root", tmp_path / "state"
    root.mkdir()
    state.mkdir()
    claim(root, state)
    mark = root / SENTINEL if where == "root" else state / KNOWN_ROOT
    mark.write_bytes(said)
    for look in (check, claim):
        with pytest.raises(DiskError, match="is damaged, it holds no id; check the disk"):
            look(root, state)
    assert mark.read_bytes() == said


def test_a_circle_of_links_removes_nothing(make_disk: MakeDisk, tmp_path: Path) -> None:
    """Neither a crash nor a removal."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to("b")
    (tmp_path / "root" / "b").symlink_to("a")
    for folder in ("a", "a/b", "a/.."):
        make_disk().remove_empty(tmp_path / "root" / folder)
    assert sorted(p.name for p in (tmp_path / "root").iterdir()) == ["a", "b"]


def test_a_link_to_a_folder_inside_the_root_is_not_removed(make_disk: MakeDisk, tmp_path: Path) -> None:
    """What the volunteer linked stays linked; the empty folder behind it goes."""
    (tmp_path / "root" / "real" / "empty").mkdir(parents=True)
    (tmp_path / "root" / "link").symlink_to("real")
    make_disk().remove_empty(tmp_path / "root" / "link" / "empty")
    assert (tmp_path / "root" / "link").is_symlink()
    assert list((tmp_path / "root" / "real").iterdir()) == []


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 300 * KIB), st.integers(1, 80 * KIB)), min_size=1, max_size=6))
def test_every_other_byte_stays_as_it_was(runs: list[tuple[int, int]]) -> None:
    """Runs at any offset, not only whole blocks: their bytes read as zeros, all others are untouched, the size stays,
    and every block that lies wholly in a run came back.
    """
    size = 256 * KIB
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(b"\1" * size)
        punch(Path(folder), file, runs)
        expected = bytearray(b"\1" * size)
        for offset, length in runs:
            end = min(offset + length, size)
            if offset < end:
                expected[offset:end] = bytes(end - offset)
        assert file.read_bytes() == expected
        kept = sum(any(expected[start : start + 4096]) for start in range(0, size, 4096))
        assert file.stat().st_blocks * 512 <= kept * 4096 + 16 * KIB


@pytest.mark.parametrize("run", [(1 << 63, 1), ((1 << 63) - 1, 1), (1, 1 << 63)])
def test_runs_beyond_what_a_file_can_be_are_refused(tmp_path: Path, run: tuple[int, int]) -> None:
    """The call into C would cut them to 64 bits and punch somewhere else."""
    (tmp_path / "file").write_bytes(b"\1" * KIB)
    with pytest.raises(DiskError, match="not a byte run"):
        punch(tmp_path, tmp_path / "file", [run])
    assert (tmp_path / "file").read_bytes() == b"\1" * KIB


def test_a_pipe_is_opened_without_waiting_and_refused(tmp_path: Path) -> None:
    """What is no regular file is refused before the kernel is asked: on a block device a hole would be zeros."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError, match="pipe is not a regular file inside"):
        punch(tmp_path, tmp_path / "pipe", [(0, KIB)])


@pytest.mark.parametrize(
    ("text", "name"), [("a/b", "a_b"), ("a\\b", "a_b"), ("a\n\u202eb", "a__b"), ("..", "_."), (" a ", "_a"), ("é", "é")]
)
def test_what_a_name_becomes(text: str, name: str) -> None:
    """Separators of any system and what cannot be shown become underscores; no name is hidden."""
    assert safe_name(text) == name
