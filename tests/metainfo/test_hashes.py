"""Piece hashes without libtorrent's hashing: against what libtorrent wrote into the .torrent."""

import os
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.errors import MetainfoError
from smartnode.metainfo.hashes import TreeHasher, piece_hashes
from smartnode.metainfo.read import Metainfo, read_metainfo

PIECE = 1 << 15
SIZES = {"a": 100_000, "b": 5, "c": PIECE, "d": 2 * PIECE, "e": 20_000, "f": PIECE + 1}
KINDS = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}


def torrent_of(path: Path, kind: str, **dropped: bytes) -> Metainfo:
    """The torrent of a file or folder, of one kind; *dropped* keys are left away."""
    files = sorted(lt.list_files(str(path), flags=0), key=lambda entry: entry.filename)
    made = lt.create_torrent(files, PIECE, KINDS[kind])
    lt.set_piece_hashes(made, str(path.parent))
    entry = made.generate()
    for key in dropped.values():
        del entry[key]
    return read_metainfo(bytes(lt.bencode(entry)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files around the size of a piece."""
    top = tmp_path / "t"
    top.mkdir()
    for name, size in SIZES.items():
        (top / name).write_bytes(os.urandom(size))
    return top


@pytest.mark.parametrize("kind", KINDS)
def test_every_piece_of_every_kind_hashes_to_what_the_torrent_says(folder: Path, kind: str) -> None:
    """v1, hybrid (zeros for pad files) and v2 (a tree per piece, short files and short ends included)."""
    metainfo = torrent_of(folder, kind)
    count, total = metainfo.layout.num_pieces, metainfo.layout.total_size
    image = bytearray(total)
    for file in metainfo.files:
        image[file.offset : file.offset + file.size] = (folder.parent / file.path).read_bytes()
    for index, said in enumerate(piece_hashes(metainfo, range(count))):
        ends = min((index + 1) * PIECE, total)
        if kind == "v2":  # a v2 piece ends with its file
            owner = next(f for f in reversed(metainfo.files) if f.offset <= index * PIECE)
            ends = min(ends, owner.offset + owner.size)
        hasher = said.hasher()
        for at in range(index * PIECE, ends, 10_007):
            hasher.update(bytes(image[at : min(at + 10_007, ends)]))
        assert hasher.digest() == said.digest
        assert (said.leaves is None) == (kind != "v2")


def test_a_torrent_without_its_piece_layers_says_so(folder: Path) -> None:
    """BEP 52 keeps the layers outside the info dictionary: a .torrent may come without them."""
    with pytest.raises(MetainfoError, match="piece layers"):
        piece_hashes(torrent_of(folder, "v2", layers=b"piece layers"), [0])


def test_no_hash_is_invented(folder: Path) -> None:
    """An index outside the torrent is an error."""
    metainfo = torrent_of(folder, "v1")
    for index in (-1, metainfo.layout.num_pieces):
        with pytest.raises(MetainfoError, match="has no piece"):
            piece_hashes(metainfo, [index])


@given(st.binary(max_size=70_000), st.data())
def test_a_tree_does_not_care_how_its_bytes_are_cut(content: bytes, data: Any) -> None:
    """Any cuts give one root; one byte more than the leaves hold is refused."""
    whole = TreeHasher(8)
    whole.update(content)
    cut = TreeHasher(8)
    at = 0
    while at < len(content):
        step = data.draw(st.integers(1, 40_000))
        cut.update(content[at : at + step])
        at += step
    assert cut.digest() == whole.digest()
    with pytest.raises(ValueError, match="no more bytes"):
        TreeHasher(1).update(bytes(2 * 16384))
