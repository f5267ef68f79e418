"""Reading .torrent files: the real ones, and hostile ones."""

import random
from pathlib import Path, PurePosixPath
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.errors import MetainfoError
from smartnode.metainfo.read import MAX_TORRENT_BYTES, read_metainfo

LINK = {b"length": 0, b"path": [b"l"], b"attr": b"l"}
DATA = Path(__file__).parents[1] / "data" / "torrents"


def torrent(**changes: Any) -> bytes:
    """Return a small v1 torrent with its info dictionary or the outside (keys with ``outer_``) changed."""
    info = {b"name": b"x", b"piece length": 16384, b"pieces": b"h" * 20, b"length": 10}
    outer = {}
    for name, value in changes.items():
        place, key = (outer, name.removeprefix("outer_")) if name.startswith("outer_") else (info, name)
        place[
            key.replace("_", " ").replace("url list", "url-list").replace("announce list", "announce-list").encode()
        ] = value
    return lt.bencode(outer | {b"info": {k: v for k, v in info.items() if v is not None}})


def folder(*paths: Any, **changes: Any) -> bytes:
    """Return a torrent of files of 5 bytes at *paths* (tuples of names)."""
    files = [{b"length": 5, b"path": [part.encode() for part in path]} for path in paths]
    return torrent(length=None, files=files, **changes)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.torrent")), ids=lambda p: p.name[:20])
def test_the_real_torrents_are_read_whole(path: Any) -> None:
    """Data for Canada's torrents: single files of 16 MiB pieces, one tracker, web seeds, public."""
    metainfo = read_metainfo(path.read_bytes())
    assert metainfo.single_file
    assert metainfo.layout.piece_length == 16 << 20
    assert [file.size for file in metainfo.files] == [metainfo.layout.total_size]
    assert metainfo.files[0].path == PurePosixPath(metainfo.name)
    assert len(metainfo.info_hash) == 40
    assert metainfo.info_hash == metainfo.info_hash_v1
    assert metainfo.trackers == ("https://tracker.labs.dataforcanada.org/announce",)
    assert all(url.startswith("https://") for url in metainfo.web_seeds)
    assert not metainfo.private


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"d",
        b"<html>",
        b"i1e",
        torrent(length=-5),
        torrent(piece_length=0),
        torrent(piece_length=1 << 40),
        torrent(pieces=b"h" * 19),
        torrent(pieces=b"h" * 40),
        torrent(length=0, pieces=b""),
        torrent(length=16384 * ((1 << 21) + 1), pieces=b"h" * 20 * ((1 << 21) + 1)),
        b"l" * 5000 + b"e" * 5000,
        folder(("a",), ("a",)),
        folder(("a",), ("A",)),
        folder(("a",), ("a", "b")),
        torrent(length=None, files=[{b"length": 10, b"path": [b"a"]}, LINK | {b"symlink path": [b"a"]}]),
        torrent(length=None, files=[{b"length": 10, b"path": [b"a"]}, LINK | {b"symlink path": [b"etc", b"passwd"]}]),
    ],
)
def test_what_cannot_be_used_is_refused(raw: bytes) -> None:
    """Damage, limits, symlinks and files that would share a path end in MetainfoError, nothing else."""
    with pytest.raises(MetainfoError):
        read_metainfo(raw)


def test_a_file_over_the_limit_is_not_even_decoded() -> None:
    """64 MiB is the limit, whatever is inside."""
    with pytest.raises(MetainfoError, match="over the limit"):
        read_metainfo(bytes(MAX_TORRENT_BYTES + 1))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ".", "a\x00b", "a\nb", "\u202egnp.exe", ""])
def test_no_name_leaves_the_folder(name: str) -> None:
    """Whatever a name says, every path stays below the item's folder, or the torrent is refused."""
    for raw in (torrent(name=name.encode()), folder((name,), ("ok",)), folder((name, name, "x"), ("ok",))):
        try:
            paths = [file.path for file in read_metainfo(raw).files]
        except MetainfoError:
            continue
        for path in paths:
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert str(path).isprintable()


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=12))
def test_names_of_any_kind_are_safe_or_refused(parts: Any, name: str) -> None:
    """Property: no name of any alphabet makes a path that is absolute, climbs, or holds control characters."""
    try:
        metainfo = read_metainfo(folder(tuple(parts), name=name.encode("utf-8", "surrogatepass")))
    except (MetainfoError, UnicodeEncodeError):
        return
    for file in metainfo.files:
        assert ".." not in file.path.parts
        assert not file.path.is_absolute()
        assert all(part.isprintable() and part for part in file.path.parts)


def test_damaged_bytes_never_escape_as_another_error() -> None:
    """Flipped and cut bytes of a real torrent give a Metainfo or a MetainfoError."""
    raw = sorted(DATA.glob("*.torrent"))[-2].read_bytes()
    dice, refused = random.Random(7), 0
    for _ in range(150):
        broken = bytearray(raw[: dice.randrange(1, len(raw))] if dice.random() < 0.3 else raw)
        for _ in range(dice.randrange(1, 6)):
            broken[dice.randrange(min(len(broken), 700))] = dice.randrange(256)
        try:
            read_metainfo(bytes(broken))
        except MetainfoError:
            refused += 1
    assert 0 < refused <= 150


def test_addresses_are_of_known_schemes() -> None:
    """file:, ftp: and wss: addresses are dropped; the order of tiers stays."""
    raw = torrent(
        outer_announce_list=[[b"udp://a.example:1"], [b"file:///x", b"wss://q.example", b"http://b.example/announce"]],
        outer_url_list=[
            b"file:///etc",
            b"ftp://a.example/b",
            b"https://c.example/x",
            b"http:///nohost",
            b"https://c.example/x",
        ],
    )
    metainfo = read_metainfo(raw)
    assert metainfo.trackers == ("udp://a.example:1", "http://b.example/announce")
    assert metainfo.web_seeds == ("https://c.example/x",)
    assert read_metainfo(torrent(private=1)).private


def test_pad_files_are_bytes_of_the_layout_and_not_files(tmp_path: Path) -> None:
    """BEP 47: every file of a hybrid torrent starts on a piece; pads are not written, moved or punched."""
    from smartnode.metainfo.make import make_torrent  # noqa: PLC0415 -- only here

    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"a" * 20_000)
    (tmp_path / "d" / "b").write_bytes(b"b" * 10)
    hybrid = read_metainfo(make_torrent(tmp_path / "d", piece_length=16384, v1_only=False))
    assert [(str(f.path), f.offset, f.size) for f in hybrid.files] == [("d/a", 0, 20_000), ("d/b", 32_768, 10)]
    assert hybrid.info_hash == hybrid.info_hash_v1
    assert len(hybrid.info_hash_v2) == 64
    assert not hybrid.single_file
