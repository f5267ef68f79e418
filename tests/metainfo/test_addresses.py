"""Where a web seed has a file, spelled as libtorrent spells it (measured on 2.1.1)."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from smartnode.metainfo.addresses import file_address, folder_address, takes_folders, usable_web_seeds
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import read_metainfo

ODD = PurePosixPath("d/a #+(é)!'$&,;=@:~*.bin")
SPELLED = "d/a%20%23%2b(%c3%a9)!%27%24%26%2c%3b%3d%40%3a~*.bin"


@pytest.mark.parametrize(
    ("url", "path", "folder", "address"),
    [
        ("https://h/base", ODD, True, f"https://h/base/{SPELLED}"),
        ("https://h/base/", ODD, True, f"https://h/base/{SPELLED}"),
        ("https://h/q?dir=x/", PurePosixPath("sin gle"), False, "https://h/q?dir=x/sin%20gle"),
        ("https://h/base/", PurePosixPath("one/a b"), False, "https://h/base/one/a%20b"),
        ("https://h/file", PurePosixPath("x"), False, "https://h/file"),
    ],
)
def test_a_file_is_where_libtorrent_would_ask_for_it(
    url: str, path: PurePosixPath, address: str, *, folder: bool
) -> None:
    """BEP 19 in libtorrent's spelling: lower-case escapes, below what ends in a slash."""
    assert file_address(url, path, folder=folder) == address


def test_a_folder_has_one_slash() -> None:
    """Libtorrent adds it when it is missing, and reports the address with it."""
    assert folder_address("https://h/base") == folder_address("https://h/base/") == "https://h/base/"


def test_a_folder_of_one_file_is_asked_as_the_file(tmp_path: Path) -> None:
    """Libtorrent counts files, not folders; pad files count."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a b").write_bytes(b"x" * 70_000)
    single = read_metainfo(make_torrent(tmp_path / "one", piece_length=1 << 15))
    assert not single.single_file
    assert not takes_folders(single)
    (tmp_path / "one" / "c").write_bytes(b"x")
    assert takes_folders(read_metainfo(make_torrent(tmp_path / "one", piece_length=1 << 15)))
    padded = replace(single, files=(replace(single.files[0], size=single.files[0].size - 1),))
    assert takes_folders(padded)


@pytest.mark.parametrize(
    "url", ["http://2130706433/x", "http://0x7f.1/x", "http://a\u202eb.example/x", "http://b.example\\@10.0.0.1/x"]
)
def test_disguised_addresses_are_no_web_seeds(url: str) -> None:
    """Numbers that resolvers read as loopback, hidden characters and backslashes, as everywhere else."""
    assert usable_web_seeds([url], allow_private=False) == []
