"""What a mirror is asked for: pieces that are drawn, their parts in order, a bounded number of files."""

import hashlib
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from smartnode.errors import SourceError
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.sources.book import Entry
from smartnode.sources.samples import PARTS_MAX, SAMPLES, proof_of

PIECE = 1 << 15


def folder_of(tmp_path: Path, *sizes: int, v1_only: bool = True) -> Metainfo:
    """A folder of files of *sizes*."""
    top = tmp_path / "d"
    top.mkdir()
    for number, size in enumerate(sizes):
        (top / f"{number:04}").write_bytes(os.urandom(size))
    return read_metainfo(make_torrent(top, piece_length=PIECE, v1_only=v1_only))


@pytest.mark.parametrize("v1_only", [True, False])
def test_the_parts_of_a_piece_are_the_piece(tmp_path: Path, *, v1_only: bool) -> None:
    """Read from the files, with zeros where pad files are, they have its hash; the largest file is the anchor."""
    metainfo = folder_of(tmp_path, 50_000, 0, 7, 90_000, 100, v1_only=v1_only)
    for seed in range(5):
        proof = proof_of(metainfo, random.Random(seed))
        assert proof.folder
        assert (str(proof.anchor.path), proof.anchor.size, proof.anchor.end) == ("d/0003", 90_000, 1)
        assert len({s.index for s in proof.samples}) == SAMPLES
        for sample in proof.samples:
            content = b""
            for part in sample.parts:
                raw = (tmp_path / part.path).read_bytes()
                assert len(raw) == part.size
                content += bytes(part.zeros) + raw[part.start : part.end]
            content += bytes(sample.zeros)
            assert hashlib.sha1(content, usedforsecurity=False).digest() == sample.hash.digest
            assert sample.size == sum(part.end - part.start for part in sample.parts)


def test_no_piece_is_asked_twice_in_a_row(tmp_path: Path) -> None:
    """Draws go round; other dice draw other pieces."""
    metainfo = folder_of(tmp_path, 40 * PIECE)
    entry = Entry(proof=proof_of(metainfo, random.Random(1)))
    drawn = [entry.draw(1)[0].index for _ in range(9)]
    assert all(a != b for a, b in pairwise(drawn))
    assert len({s.index for s in entry.draw(3)}) == 3
    assert len({proof_of(metainfo, random.Random(seed)).samples for seed in range(20)}) > 15


def test_a_piece_of_too_many_files_is_not_asked_for(tmp_path: Path) -> None:
    """More than 64 files in each piece would be more than 64 requests for one look."""
    with pytest.raises(SourceError, match="more than 64 files"):
        proof_of(folder_of(tmp_path, *[100] * (PARTS_MAX * 2)), random.Random(1))


def test_a_torrent_of_one_piece_is_asked_for_that_one(tmp_path: Path) -> None:
    """Nothing else can be drawn."""
    proof = proof_of(folder_of(tmp_path, 10), random.Random(1))
    assert [s.index for s in proof.samples] == [0]
    assert len(Entry(proof=proof).draw(3)) == 1
