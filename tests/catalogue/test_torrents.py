"""The .torrent files: the catalogue's word is checked, nothing wrong is kept, nothing private is asked."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from smartnode.catalogue.download import Bounds
from smartnode.catalogue.read import read_catalogue
from smartnode.catalogue.selection import Selection
from smartnode.catalogue.torrents import Torrents
from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.pieces import Bytes
from smartnode.errors import MetainfoError
from smartnode.web.transport import PinnedTransport, client, resolve


@pytest.fixture(scope="module")
def real_items() -> tuple[Item, ...]:
    """The eleven real items."""
    file = Path(__file__).parent.parent / "data" / "catalogue-rustac.parquet"
    return asyncio.run(read_catalogue(file, selection=Selection(), allow_private=False)).items


def torrent_of(item: Item) -> Torrent:
    """Return the item's torrent, which the test relies on."""
    assert item.torrent is not None
    return item.torrent


def at(item: Item, url: str | None, **changes: Any) -> Item:
    """Return *item* with its .torrent at *url*."""
    return replace(item, torrent=replace(torrent_of(item), metainfo_url=url, **changes))


def raw_of(data: Path, item: Item) -> bytes:
    """Return the real .torrent file of *item*."""
    return (data / "torrents" / f"{torrent_of(item).name}.torrent").read_bytes()


def room(tmp_path: Path, *, allow_private: bool = True) -> Torrents:
    """Return the room with its cache in *tmp_path*."""
    return Torrents(cache=tmp_path, allow_private=allow_private, bounds=Bounds(max_bytes=1 << 20, deadline_s=5.0))


def kept(tmp_path: Path) -> list[str]:
    """Return the names in the cache."""
    return sorted(file.name for file in (tmp_path / "torrents").glob("*"))


async def test_all_nine_real_torrents_are_what_the_catalogue_says(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...]
) -> None:
    """Each is fetched once, checked and cached; the second time nobody is asked."""
    torrents, nine = room(tmp_path), [item for item in real_items if item.torrent]
    assert len(nine) == 9
    for number, item in enumerate(nine):
        url = origin.serve(f"/{number}", raw_of(data, item))
        found = await torrents.metainfo(at(item, url))
        assert found.info_hash == torrent_of(item).info_hash
        assert found.layout == torrent_of(item).layout
    assert len(origin.asked) == 9
    for item in nine:
        assert (await torrents.metainfo(item)).info_hash == torrent_of(item).info_hash
    assert kept(tmp_path) == sorted(f"{torrent_of(item).info_hash}.torrent" for item in nine)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 5),
        ("piece_length", 1 << 20),
        ("info_hash_v1", "f" * 40),
        ("info_hash_v2", "ab" * 32),
        ("info_hash", "e" * 40),
    ],
)
async def test_another_torrent_is_refused_with_both_values(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...], name: str, value: object
) -> None:
    """A difference in hash, size or piece length names both sides, and nothing is cached."""
    item = at(real_items[0], origin.serve("/t", raw_of(data, real_items[0])), **{name: value})
    with pytest.raises(MetainfoError, match=f"is {value} in the catalogue but .* in the .torrent file"):
        await room(tmp_path).metainfo(item)
    assert kept(tmp_path) == []


async def test_an_unknown_piece_length_is_no_difference(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...]
) -> None:
    """What the catalogue does not say cannot differ."""
    item = at(real_items[0], origin.serve("/t", raw_of(data, real_items[0])), piece_length=None)
    assert (await room(tmp_path).metainfo(item)).layout.piece_length == Bytes(16 << 20)


async def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...]
) -> None:
    """The cache is believed only after the same check."""
    item = at(real_items[0], origin.serve("/t", raw_of(data, real_items[0])))
    cached = tmp_path / "torrents" / f"{torrent_of(item).info_hash}.torrent"
    cached.parent.mkdir()
    for wrong in (b"rubbish", raw_of(data, real_items[1])):
        cached.write_bytes(wrong)
        assert (await room(tmp_path).metainfo(item)).info_hash == torrent_of(item).info_hash
        assert cached.read_bytes() == raw_of(data, item)
    assert len(origin.asked) == 2


async def test_what_cannot_be_had_is_one_line(tmp_path: Path, origin: Any, real_items: tuple[Item, ...]) -> None:
    """No torrent, no address, a magnet, 404, rubbish, too large, no room: a MetainfoError each."""
    item = real_items[0]
    cases = [
        (next(i for i in real_items if i.torrent is None), "has no torrent"),
        (at(item, None), "not supported yet"),
        (at(item, f"magnet:?xt=urn:btih:{torrent_of(item).info_hash}"), "not supported yet: .* magnet"),
        (at(item, origin.url + "/missing"), "404"),
        (at(item, origin.serve("/x", b"<html>")), "not a usable .torrent"),
        (at(item, origin.serve("/big", bytes(2 << 20))), "over the limit"),
        (at(item, "http://host\x00.example/"), "hidden character"),
    ]
    for case, reason in cases:
        with pytest.raises(MetainfoError, match=reason):
            await room(tmp_path).metainfo(case)
    assert kept(tmp_path) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(MetainfoError, match="cannot be kept"):
        await room(tmp_path / "file").metainfo(at(item, origin.url + "/x"))


async def test_private_addresses_are_not_asked(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...]
) -> None:
    """Neither a literal nor a name that resolves to this machine gets a connection unless private ones are allowed."""
    item = real_items[0]
    url = origin.serve("/t", raw_of(data, item))
    for host, reason in (("127.0.0.1", "private network"), ("localhost", "private network"), ("localhost.", "private")):
        with pytest.raises(MetainfoError, match=reason):
            await room(tmp_path, allow_private=False).metainfo(at(item, url.replace("127.0.0.1", host)))
    assert origin.asked == []
    assert (await room(tmp_path).metainfo(at(item, url))).info_hash == torrent_of(item).info_hash


async def test_a_name_is_judged_by_its_addresses(origin: Any) -> None:
    """The check that counts is made on what the name resolves to, right before the connection."""
    async with client(allow_private=False) as http:
        with pytest.raises(httpx.ConnectError, match=r"localhost is .*, which is not a public address"):
            await http.get(origin.url.replace("127.0.0.1", "localhost"))
        with pytest.raises(httpx.ConnectError, match="cannot be resolved"):
            await http.get("http://a..b.invalid/")
    assert origin.asked == []


async def test_the_connection_goes_to_the_checked_address() -> None:
    """The request that is sent names an address; the name stays in Host and for TLS. One that fails is followed by
    the next.
    """
    sent: list[httpx.Request] = []

    class Recording(httpx.AsyncBaseTransport):
        """A transport that notes what it is asked and has no network."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            if len(sent) == 2:
                message = "refused"
                raise httpx.ConnectError(message)
            return httpx.Response(200)

    async with httpx.AsyncClient(transport=PinnedTransport(Recording()), trust_env=False) as http:
        assert (await http.get("https://1.1.1.1:8443/x")).status_code == 200
        with pytest.raises(httpx.ConnectError, match="refused"):
            await http.get("http://[2606:4700:4700::1111]/")
    assert sent[0].url.host == "1.1.1.1"
    assert sent[0].headers["Host"] == "1.1.1.1:8443"
    assert sent[0].extensions["sni_hostname"] == "1.1.1.1"
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]


async def test_redirects_are_checked_at_each_step(
    tmp_path: Path, data: Path, origin: Any, real_items: tuple[Item, ...]
) -> None:
    """A redirect is followed to a checked address only, and at most five times."""
    item = real_items[0]
    origin.serve("/t", raw_of(data, item))
    for step in range(6):
        origin.serve(f"/{step}", b"", "301 Moved Permanently", Location=f"/{step - 1}" if step else "/t")
    assert await room(tmp_path / "a").metainfo(at(item, origin.url + "/4"))
    with pytest.raises(MetainfoError, match="redirects more than 5 times"):
        await room(tmp_path / "b").metainfo(at(item, origin.url + "/5"))
    evil = origin.serve("/evil", b"", "302 Found", Location="file:///etc/passwd")
    with pytest.raises(MetainfoError, match="neither http nor https"):
        await room(tmp_path / "c").metainfo(at(item, evil))
    nowhere = origin.serve("/nowhere", b"", "302 Found", Location=":http://[")
    with pytest.raises(MetainfoError, match="Invalid IPv6 URL"):
        await room(tmp_path / "d").metainfo(at(item, nowhere))
