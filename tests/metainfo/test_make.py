"""Making .torrent files."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.errors import MetainfoError
from smartnode.metainfo.make import Recipe, make_torrent, make_torrent_in_child
from smartnode.metainfo.read import read_metainfo

RECIPE = Recipe(
    piece_length=1 << 16,
    trackers=("http://t.example/announce", "udp://u.example:1"),
    web_seeds=("https://w.example/d/",),
    comment="sample",
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files were written in no order."""
    top = tmp_path / "d"
    for name in ("z", "sub/b", "a", "sub/a"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(os.urandom(70_000))
    return top


async def test_same_files_same_bytes(folder: Any) -> None:
    """Two runs, one of them in a child process, make the same .torrent; its files are in order of path."""
    options = asdict(RECIPE)
    first, second = make_torrent(folder, **options), await make_torrent_in_child(folder, RECIPE)
    assert first == second
    metainfo = read_metainfo(first)
    assert [str(file.path) for file in metainfo.files] == ["d/a", "d/sub/a", "d/sub/b", "d/z"]
    assert metainfo.trackers == RECIPE.trackers
    assert metainfo.web_seeds == RECIPE.web_seeds
    assert lt.bdecode(first)[b"creation date"] == 1767312000
    assert b"creation date" not in lt.bdecode(make_torrent(folder, piece_length=1 << 16))


async def test_what_cannot_be_read_is_an_error_with_a_cure(tmp_path: Path) -> None:
    """A missing path and an empty folder are refused, in the child too."""
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(MetainfoError, match="not empty"):
            make_torrent(path, piece_length=1 << 16)
        with pytest.raises(MetainfoError, match="not empty"):
            await make_torrent_in_child(path, RECIPE)


async def test_a_child_that_takes_too_long_is_ended(folder: Any) -> None:
    """The deadline holds."""
    with pytest.raises(MetainfoError, match="took more than"):
        await make_torrent_in_child(folder, RECIPE, timeout_s=0.001)
