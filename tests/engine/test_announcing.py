"""The alarm over torrents that no tracker hears of, on records alone: time is what the caller says it is."""

from pathlib import Path
from random import Random

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.engine.announcing import Announcing
from smartnode.engine.events import TrackerAnswered, TrackerAsked, TrackerFailed
from smartnode.engine.pacing import Turn
from smartnode.engine.torrents import Torrent
from smartnode.engine.trackers import BOUND_S
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import read_metainfo

URL = "udp://t.example:6969/announce"


def records(folder: Path, number: int) -> dict[InfoHash, Torrent]:
    """Return records of torrents that announce to one tracker and are not in a session."""
    found = {}
    for each in range(number):
        (folder / f"{each}.bin").write_bytes(bytes([each]) * 100)
        metainfo = read_metainfo(make_torrent(folder / f"{each}.bin", piece_length=16384))
        torrent = Torrent(key=ItemKey(collection="c", id=str(each)), metainfo=metainfo, folder=folder, whole=True)
        torrent.trackers = (URL, "http://t.example/announce")
        found[metainfo.info_hash] = torrent
    return found


def test_who_is_silent_for_longer_than_the_interval_is_counted(tmp_path: Path) -> None:
    """Never heard of counts from the moment it was added; an answer ends the silence for one interval."""
    torrents = records(tmp_path, 3)
    announcing = Announcing(torrents, per_s=20, udp=True, random=Random(1))
    for torrent in torrents.values():
        announcing.join(torrent, 0.0, Turn.START)
    first = next(iter(torrents))
    announcing.took(TrackerAnswered(info_hash=first, url=URL), 100.0)
    silent = {}
    for now in (BOUND_S - 10, BOUND_S + 10, BOUND_S + 200):
        announcing.beat(now)
        silent[now] = {each.url: each.silent for each in announcing.health()}
    assert [list(each.values()) for each in silent.values()] == [[0, 0], [3, 2], [3, 3]]


def test_what_was_asked_before_a_tracker_came_back_says_nothing_of_it(tmp_path: Path) -> None:
    """Announces that were under way when it was down time out after it answered: it is not down for that."""
    torrents = records(tmp_path, 9)
    announcing = Announcing(torrents, per_s=20, udp=True, random=Random(1))
    for torrent in torrents.values():
        announcing.join(torrent, 0.0, Turn.START)
        torrent.told[URL].on = True
        announcing.took(TrackerAsked(info_hash=torrent.info_hash, url=URL), 1.0)
    announcing.answers(URL, 2.0)
    for key in torrents:
        announcing.took(TrackerFailed(info_hash=key, url=URL, text="timed out", refused=False), 3.0)
    announcing.beat(10.0)
    assert {each.failures for each in announcing.health()} == {0}
    for torrent in torrents.values():
        torrent.told[URL].on = True
        announcing.took(TrackerAsked(info_hash=torrent.info_hash, url=URL), 11.0)
        announcing.took(TrackerFailed(info_hash=torrent.info_hash, url=URL, text="timed out", refused=False), 12.0)
    announcing.beat(20.0)
    assert {each.url: each.failures for each in announcing.health()}[URL] == 9


def test_no_udp_tracker_is_named_where_udp_cannot_go(tmp_path: Path) -> None:
    """Behind an HTTP proxy only the other trackers are announced to; the record keeps them all."""
    torrents = records(tmp_path, 1)
    announcing = Announcing(torrents, per_s=20, udp=False, random=Random(1))
    for torrent in torrents.values():
        announcing.join(torrent, 0.0, Turn.START)
        assert list(torrent.told) == ["http://t.example/announce"]
        assert torrent.trackers[0] == URL
