"""The room without a network: what it says of web seeds that it knows, may not ask, or was never told of."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.mirror import Mirror, MirrorFailure, MirrorState
from smartnode.domain.pieces import Bytes
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.sources.hosts import Budget
from smartnode.sources.mirrors import Mirrors
from smartnode.sources.probe import Manners
from smartnode.sources.ranges import Failed, _next

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
URL = "https://m.example/x.tif"


@pytest.fixture
async def room() -> AsyncIterator[Mirrors]:
    """A room whose clock stands still and which is never told to look."""
    made = Mirrors(Manners(user_agent="t", allow_private=False), clock=lambda: NOW, dice=random.Random(1))
    yield made
    await made.close()


@pytest.fixture
def metainfo(tmp_path: Path) -> Metainfo:
    """A single-file torrent of a few pieces."""
    (tmp_path / "x.tif").write_bytes(bytes(range(256)) * 400)
    return read_metainfo(make_torrent(tmp_path / "x.tif", piece_length=1 << 15))


def item_of(*urls: str) -> Item:
    """An item with these web seeds."""
    return Item(key=ItemKey(collection="c", id="i"), torrent=None, web_seeds=urls)


def torrent(info_hash: InfoHash) -> Torrent:
    """What the catalogue says of a torrent."""
    return Torrent(
        info_hash=info_hash,
        info_hash_v1=info_hash,
        info_hash_v2=None,
        size=Bytes(102_400),
        piece_length=None,
        name=None,
        metainfo_url=None,
    )


def live(info_hash: InfoHash, url: str = URL, *, until: datetime = NOW + timedelta(hours=1)) -> Mirror:
    """A web seed that an earlier run found good."""
    return Mirror(
        info_hash=info_hash,
        url=url,
        state=MirrorState.LIVE,
        target=url,
        checked_at=NOW,
        hashed_at=NOW,
        until=until,
        validator="v",
    )


async def test_unknown_is_none_and_no_web_seed_is_none_at_all(room: Mirrors, metainfo: Metainfo) -> None:
    """None: never looked at; 0: the torrent names none that may be used."""
    key = metainfo.info_hash
    assert room.count(key) is None
    room.expect(item_of(), metainfo)
    assert room.count(key) == 0
    room.expect(item_of("https://zenodo.org/x.tif", "http://10.0.0.1/x.tif", "ftp://m.example/x"), metainfo)
    assert room.count(key) == 0
    assert room.due(NOW) == ()
    room.expect(item_of(URL), metainfo)
    assert room.count(key) is None
    assert room.due(NOW) == ((key, URL),)


async def test_what_an_earlier_run_knew_serves_until_it_is_stale(room: Mirrors, metainfo: Metainfo) -> None:
    """A live one is given out at once after a restart, and told as a change; after a long stop it is unknown."""
    key, other = metainfo.info_hash, InfoHash("b" * 40)
    room.know([live(key), live(other, until=NOW - timedelta(hours=7))])
    assert (room.live(key), room.count(key)) == ((URL,), 1)
    assert (room.live(other), room.count(other)) == ((), None)
    assert room.changed() == ()
    room.expect(item_of(URL), metainfo)
    assert room.live(key) == (URL,)
    assert await room.tend(NOW, wanted=[]) == {key, other}
    room.expect(item_of(), metainfo)
    assert room.live(key) == ()
    assert await room.tend(NOW, wanted=[]) == {key}


async def test_the_mirrors_of_a_superseded_version_are_asked_at_once(room: Mirrors, metainfo: Metainfo) -> None:
    """When the catalogue says so, and after a start that finds it said; once, and only what is live. Until they
    answered they count.
    """
    key, second = metainfo.info_hash, "https://n.example/x.tif"
    item = replace(item_of(URL, second), torrent=torrent(key))
    gone = replace(live(key, second), state=MirrorState.GONE, until=NOW + timedelta(days=1))
    room.know([live(key), gone])
    room.expect(item, metainfo)
    assert room.due(NOW) == ()
    assert room.expects(item)
    old = replace(item, deprecated=True)
    assert not room.expects(old)
    room.expect(old, metainfo)
    assert room.expects(old)
    assert room.due(NOW) == ((key, URL),)
    assert room.count(key) == 1
    (asked,) = room.changed()
    room._put(replace(asked, until=NOW + timedelta(hours=6)))
    room.expect(old, metainfo)
    assert room.due(NOW) == ()


async def test_where_the_live_mirrors_are(room: Mirrors, metainfo: Metainfo) -> None:
    """The region that the catalogue states for each one that serves, None where it states none; a correction in the
    catalogue is heard.
    """
    key, second, third = metainfo.info_hash, "https://n.example/a b.tif", "https://o.example/x.tif"
    room.know([live(key), live(key, second.replace(" ", "%20")), replace(live(key, third), state=MirrorState.GONE)])
    assert room.regions(key) == (None, None)
    item = replace(item_of(URL, second, third), torrent=torrent(key), places=((second, "ca-on"), (third, "nl")))
    room.expect(item, metainfo)
    assert room.regions(key) == (None, "ca-on")
    corrected = replace(item, places=((URL, "us-west-2"),))
    assert not room.expects(corrected)
    room.expect(corrected, metainfo)
    assert room.regions(key) == ("us-west-2", None)
    assert room.regions(InfoHash("f" * 40)) == ()


async def test_the_engines_word_counts_at_once(room: Mirrors, metainfo: Metainfo) -> None:
    """Banned for a wrong byte: not live, and told; a failure that names nobody makes every live one suspect."""
    key = metainfo.info_hash
    second = "https://n.example/x.tif"
    room.know([live(key), live(key, second)])
    room.failed(MirrorFailure(info_hash=key, url=URL, text="peer banned", banned=True), NOW)
    assert room.live(key) == (second,)
    assert {m.url: m.state for m in room.changed()} == {URL: MirrorState.BANNED}
    room.failed(MirrorFailure(info_hash=key, url="https://elsewhere/x", text="peer banned", banned=True), NOW)
    assert room.live(key) == ()
    assert room.count(key) == 0
    (suspect,) = room.changed()
    assert (suspect.url, suspect.state, suspect.hashed_at) == (second, MirrorState.WAITING, None)
    room.failed(MirrorFailure(info_hash=InfoHash("f" * 40), url=URL, text="x", banned=True), NOW)
    assert room.changed() == ()


async def test_wanted_torrents_come_first_and_idle_ones_are_bounded_in_bytes(metainfo: Metainfo) -> None:
    """Order: waited for, never asked, by time; a purse for whole pieces of what nobody waits for."""
    budget = Budget(idle_bytes=3 << 15, urgent_mirrors=1)
    room = Mirrors(
        Manners(user_agent="t", allow_private=False), clock=lambda: NOW, dice=random.Random(1), budget=budget
    )
    keys = [InfoHash(f"{n:040x}") for n in range(6)]
    for key in keys:
        room.expect(
            item_of(URL.replace("m.", f"m{key[-1]}."), "https://n.example/x.tif"), replace(metainfo, info_hash=key)
        )
    room._choice.wanted = frozenset(keys[4:])
    assert [key for key, _ in room.due(NOW)][:4] == [keys[4], keys[4], keys[5], keys[5]]
    chosen = room._choice.choose(NOW, [])
    assert [ask.key[0] for ask in chosen if ask.urgent] == keys[4:]
    idle = sum(sum(s.size for s in ask.samples) for ask in chosen if not ask.urgent)
    assert 0 < idle <= 3 << 15
    await room.close()


async def test_one_call_begins_a_bounded_number_of_looks(room: Mirrors, metainfo: Metainfo) -> None:
    """At most 64 in all and 8 at one host, however many are waited for."""
    keys = [InfoHash(f"{n:040x}") for n in range(100)]
    for number, key in enumerate(keys):
        hosts = ("https://crowd.example/x", f"https://m{number}.example/x")
        room.expect(item_of(*hosts), replace(metainfo, info_hash=key))
    room._choice.wanted = frozenset(keys)
    chosen = room._choice.choose(NOW, [])
    assert len(chosen) == 64
    assert sum("crowd" in ask.key[1] for ask in chosen) == 8
    assert room._choice.choose(NOW, chosen) == []


async def test_a_torrent_whose_pieces_cannot_be_proved_says_so(room: Mirrors, tmp_path: Path) -> None:
    """Its web seeds are unknown for good, not asked, and the reason is told while it is waited for."""
    top = tmp_path / "tiles"
    top.mkdir()
    for number in range(200):
        (top / f"{number}").write_bytes(b"tile")
    metainfo = read_metainfo(make_torrent(top, piece_length=1 << 15))
    room.expect(item_of("https://m.example/tiles/"), metainfo)
    assert room.count(metainfo.info_hash) is None
    assert await room.tend(NOW, wanted=[metainfo.info_hash]) == frozenset()
    (line,) = room.degraded(NOW)
    assert line.startswith(f"sources: the web seeds of {metainfo.info_hash[:8]} are not used: a piece of this torrent")


@pytest.mark.parametrize(("to", "reason"), [("http://m.example/x", "from https"), ("/" + "x" * 70_000, "no address")])
def test_a_redirect_is_never_down_to_http_nor_to_nonsense(to: str, reason: str) -> None:
    """What came by https goes on by https."""
    with pytest.raises(Failed, match=reason):
        _next(httpx.Response(302, headers={"Location": to}), "https://h.example/x")
    assert _next(httpx.Response(302, headers={"Location": "/y"}), "https://h.example/x") == "https://h.example/y"
