"""A data root is known by its sentinel: absent or foreign means hands off."""

from pathlib import Path

import pytest

from smartnode.disk.sentinel import KNOWN_ROOT, SENTINEL, check, claim, knows_root, write_durably
from smartnode.errors import DiskError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A root and a state, both empty."""
    root, state = tmp_path / "root", tmp_path / "state"
    root.mkdir()
    state.mkdir()
    return root, state


def test_the_first_claim_marks_the_root(folders: tuple[Path, Path]) -> None:
    """A new root gets a random id that the state remembers."""
    root, state = folders
    assert not knows_root(state)
    check(root, state)
    claim(root, state)
    assert knows_root(state)
    assert len((root / SENTINEL).read_text().strip()) == 32
    check(root, state)


def test_a_claim_is_made_once(folders: tuple[Path, Path]) -> None:
    """The id of a root never changes."""
    root, state = folders
    claim(root, state)
    before = (root / SENTINEL).stat().st_ino
    claim(root, state)
    assert (root / SENTINEL).stat().st_ino == before


def test_a_state_that_was_lost_takes_its_root_back(folders: tuple[Path, Path]) -> None:
    """A root with a sentinel and a new state: the data is still there, its id is adopted unchanged."""
    root, state = folders
    claim(root, state)
    said = (root / SENTINEL).read_text()
    (state / KNOWN_ROOT).unlink()
    claim(root, state)
    assert (root / SENTINEL).read_text() == (state / KNOWN_ROOT).read_text() == said


def test_without_its_sentinel_a_known_root_is_absent(folders: tuple[Path, Path]) -> None:
    """Neither check nor claim writes a new sentinel into what may be an empty mount point."""
    root, state = folders
    claim(root, state)
    (root / SENTINEL).unlink()
    for look in (check, claim):
        with pytest.raises(DiskError, match=r"not mounted.*mount it"):
            look(root, state)
    assert list(root.iterdir()) == []


def test_another_nodes_root_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A sentinel with another id: this is another disk."""
    root, state = folders
    claim(root, state)
    (tmp_path / "root2").mkdir()
    (tmp_path / "state2").mkdir()
    claim(tmp_path / "root2", tmp_path / "state2")
    with pytest.raises(DiskError, match="belongs to another node"):
        check(tmp_path / "root2", state)


@pytest.mark.parametrize("said", [b"\xff\xfe", None])
def test_a_sentinel_that_cannot_be_read_is_an_error(folders: tuple[Path, Path], said: bytes | None) -> None:
    """Not text, or a folder where the file was: an error that names it, never "a new root"."""
    root, state = folders
    if said is None:
        (root / SENTINEL).mkdir()
    else:
        (root / SENTINEL).write_bytes(said)
    with pytest.raises(DiskError, match=SENTINEL):
        claim(root, state)
    assert not knows_root(state)


def test_writing_replaces_the_whole_text_or_nothing(tmp_path: Path) -> None:
    """The new text stands whole under the name, and no temporary file is left."""
    write_durably(tmp_path / "file", "one")
    write_durably(tmp_path / "file", "two")
    assert (tmp_path / "file").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_text_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The path is named, the cure too."""
    with pytest.raises(DiskError, match=r"cannot be written .*has room"):
        write_durably(tmp_path / "no" / "file", "x")
