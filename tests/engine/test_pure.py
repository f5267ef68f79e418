"""Byte runs, web seeds, names of clients, settings: what needs no session, or only a short one."""

from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.identity import InfoHash, ItemKey, client_of, is_smartnode, node_id
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.engine.peers import printable
from smartnode.engine.settings import EngineSettings, address_filter, bootstrap, pack
from smartnode.metainfo.addresses import trackers_for, web_seeds_for
from smartnode.metainfo.extents import runs_to_punch, spans
from smartnode.metainfo.read import Metainfo, TorrentFile


def metainfo_of(*sizes: int, piece_length: int = 16384, **changes: Any) -> Metainfo:
    """Return a Metainfo of files of *sizes* without any hashes; one file is a single-file torrent."""
    files, offset = [], 0
    for number, size in enumerate(sizes):
        name = f"d/{number}" if len(sizes) > 1 else "x.tif"
        files.append(
            TorrentFile(path=__import__("pathlib").PurePosixPath(name), offset=Bytes(offset), size=Bytes(size))
        )
        offset += size
    values = {
        "info_hash": InfoHash("a" * 40),
        "info_hash_v1": "a" * 40,
        "info_hash_v2": None,
        "name": "x",
        "layout": Layout(total_size=Bytes(offset), piece_length=Bytes(piece_length)),
        "files": tuple(files),
        "trackers": (),
        "web_seeds": (),
        "raw": b"",
    }
    return Metainfo(**(values | changes))


@given(
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=6).filter(any),
    piece_length=st.sampled_from([1000, 4096, 16384, 20_000]),
    data=st.data(),
)
def test_punched_runs_never_touch_a_kept_byte_and_free_every_whole_block(
    sizes: Any, piece_length: Any, data: Any
) -> None:
    """Against a byte-by-byte model: a run holds only bytes of let-go pieces; every aligned block of such bytes in a
    touched stretch is in a run, the tail of a file included.
    """
    metainfo = metainfo_of(*sizes, piece_length=piece_length)
    count, total = metainfo.layout.num_pieces, metainfo.layout.total_size
    kept = Bitfield.from_indices(data.draw(st.sets(st.integers(0, count - 1))), count)
    everything = Bitfield.full(count)
    punched = runs_to_punch(metainfo, kept=kept, touched=everything)
    assert runs_to_punch(metainfo, kept=kept, touched=kept) == {}
    for file in metainfo.files:
        free = [
            (file.offset + byte) // piece_length not in kept if file.offset + byte < total else True
            for byte in range(file.size)
        ]
        covered = set()
        for offset, length in punched.get(file, []):
            assert offset % 4096 == 0
            assert length % 4096 == 0
            assert all(free[offset : offset + length])
            covered.update(range(offset, offset + length, 4096))
        for block in range(0, file.size, 4096):
            assert (block in covered) == all(free[block : block + 4096])


@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6).filter(any))
def test_spans_cover_every_byte_once(sizes: Any) -> None:
    """All pieces together are all files, in order."""
    metainfo = metainfo_of(*sizes, piece_length=700)
    found = list(spans(metainfo, Bitfield.full(metainfo.layout.num_pieces).ranges()))
    assert [(span.file.offset + span.start, span.file.offset + span.end) for span in found] == [
        (f.offset, f.offset + f.size) for f in metainfo.files if f.size
    ]


def item_of(*urls: str, trackers: tuple[str, ...] = ()) -> Item:
    """Return an item with web seeds and trackers."""
    torrent = Torrent(
        info_hash=InfoHash("a" * 40),
        info_hash_v1="a" * 40,
        info_hash_v2=None,
        size=Bytes(1),
        piece_length=None,
        name=None,
        metainfo_url=None,
        trackers=trackers,
    )
    return Item(key=ItemKey(collection="c", id="i"), torrent=torrent, web_seeds=urls)


@pytest.mark.parametrize(
    "url",
    [
        "https://zenodo.org/records/1/files/x.tif",
        "https://www.Zenodo.org./x",
        "https://archive.org/download/x",
        "https://ia800.us.archive.org/x",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://10.1.2.3/x",
        "http://169.254.169.254/latest",
        "http://localhost/x",
        "http://nas/x",
        "http://printer.local/x",
        "https://user:secret@mirror.example/x",
        "file:///etc/passwd",
        "ftp://mirror.example/x",
        "https://",
        "https://[bad/x",
    ],
)
def test_web_seeds_that_libtorrent_must_not_have(url: str) -> None:
    """Budgeted hosts, private ranges, credentials and other schemes are left out, from either source."""
    assert web_seeds_for(item_of(url), metainfo_of(5), allow_private=False) == []
    assert web_seeds_for(item_of(), metainfo_of(5, web_seeds=(url,)), allow_private=False) == []


def test_web_seeds_are_encoded_and_each_once() -> None:
    """Names outside ASCII are percent-encoded by us, what is encoded stays, the catalogue's come first."""
    seeds = web_seeds_for(
        item_of("https://m.example/a é.tif?v=1 2", "https://m.example/%C3%A9#part"),
        metainfo_of(5, web_seeds=("https://m.example/%C3%A9", "https://notzenodo.org/x")),
        allow_private=False,
    )
    assert seeds == ["https://m.example/a%20%C3%A9.tif?v=1%202", "https://m.example/%C3%A9", "https://notzenodo.org/x"]


def test_a_folder_torrent_takes_only_folders_from_the_catalogue() -> None:
    """BEP 19: a file's address is no web seed of a folder torrent; the .torrent's own word is taken as it is."""
    seeds = web_seeds_for(
        item_of("https://m.example/d/one.tif", "https://m.example/d/"),
        metainfo_of(5, 6, web_seeds=("https://n.example/base",)),
        allow_private=False,
    )
    assert seeds == ["https://m.example/d/", "https://n.example/base"]


def test_private_addresses_are_used_only_where_allowed() -> None:
    """allow_private opens loopback for tests and demos."""
    assert web_seeds_for(item_of("http://127.0.0.1:8000/x"), metainfo_of(5), allow_private=True)
    item = item_of(trackers=("http://127.0.0.1/announce", "udp://t.example:1", "http://t.example/announce"))
    assert trackers_for(item, metainfo_of(5), allow_private=False) == ["udp://t.example:1", "http://t.example/announce"]
    assert len(trackers_for(item, metainfo_of(5), allow_private=True)) == 3


def test_a_private_torrent_keeps_to_its_own_trackers() -> None:
    """BEP 27: no tracker but those of the .torrent."""
    item = item_of(trackers=("http://t.example/announce",))
    own = metainfo_of(5, trackers=("http://own.example/announce",), private=True)
    assert trackers_for(item, own, allow_private=False) == ["http://own.example/announce"]


@pytest.mark.parametrize(
    ("client", "ours"),
    [
        ("smartnode/0.1.0 (d4c/1)", True),
        ("smartnode/1.2.3rc1 (d4c/1)", True),
        ("smartnode/0.1.0 (d4c/2)", False),
        ("smartnode/0.1.0 (other/1)", False),
        ("smartnode/0.1.0 (d4c/1) ", False),
        ("xsmartnode/0.1.0 (d4c/1)", False),
        ("smartnode/ (d4c/1)", False),
        ("libtorrent/2.1.1.0", False),
        ("", False),
        (None, False),
    ],
)
def test_who_is_a_smartnode(client: Any, ours: Any) -> None:
    """Only the whole name with our network and protocol counts."""
    assert is_smartnode(client, "d4c") is ours


def test_our_own_name_is_recognised() -> None:
    """client_of and is_smartnode agree."""
    assert is_smartnode(client_of("0.1.0", "d4c"), "d4c")


def test_names_of_strangers_are_cut_and_printable() -> None:
    """At most 128 printable characters, None when nothing is left."""
    assert printable(b"x" * 5000) == "x" * 128
    assert printable(b"a\x00\x1b[31m\xff") == "a[31m\ufffd"
    assert printable(b"") is None


def settings_of(tmp_path: Path, **changes: Any) -> EngineSettings:
    """Return settings on loopback."""
    values = {
        "node_id": node_id(bytes(range(200, 220))),
        "client": client_of("0.1.0", "d4c"),
        "network_id": "d4c",
        "listen": ("127.0.63.1:0",),
        "state_dir": tmp_path,
        "dht": False,
    }
    return EngineSettings(**(values | changes))


@pytest.mark.parametrize("allow_private", [True, False])
def test_libtorrent_knows_every_setting_and_nothing_calls_home(tmp_path: Path, allow_private: Any) -> None:
    """An unknown name would raise KeyError; bootstrap, STUN, port mapping and local discovery are off."""
    chosen = pack(settings_of(tmp_path, allow_private=allow_private))
    session = lt.session(chosen)
    assert session.listen_port() > 0
    assert chosen["dht_bootstrap_nodes"] == chosen["webtorrent_stun_server"] == ""
    assert not any(chosen[name] for name in ("enable_upnp", "enable_natpmp", "enable_lsd", "enable_dht"))
    assert chosen["peer_fingerprint"] == bytes(range(200, 220))
    assert (
        pack(settings_of(tmp_path, dht_bootstrap=(("a.example", 1), ("b.example", 2))))["dht_bootstrap_nodes"]
        == "a.example:1,b.example:2"
    )
    # Behind a proxy no name is looked up by the host itself, as libtorrent does with DHT contacts.
    proxy = Proxy(kind=ProxyKind.SOCKS5, host="127.0.0.9", port=1080)
    contacts = (("a.example", 1), ("192.0.2.1", 2), ("2001:db8::1", 3))
    behind = settings_of(tmp_path, proxy=proxy, dht_bootstrap=contacts)
    assert bootstrap(behind) == contacts[1:]
    assert "a.example" not in pack(behind)["dht_bootstrap_nodes"]


def test_private_ranges_are_closed_unless_allowed(tmp_path: Path) -> None:
    """The address filter also binds web seeds and trackers whose names resolve there."""
    closed, opened = (address_filter(settings_of(tmp_path, allow_private=allow)) for allow in (False, True))
    for host in ("10.0.0.1", "127.0.0.1", "192.168.1.1", "172.31.255.255", "169.254.1.1", "::1", "fe80::1", "fd00::1"):
        assert closed.access(host) == 1
        assert opened.access(host) == 0
    for host in ("1.1.1.1", "172.32.0.1", "2606:4700::1111"):
        assert closed.access(host) == 0
