"""A node starts from its resume files alone: each torrent is checked against the disk, put in its place and added.

One torrent that cannot be read, checked or added is reported and left out; it never stops the node. After a stop that
was not clean, blocks of pieces that are neither held nor in a clean resume file are given back: an eviction may have
died between its resume file and its holes.
"""

import asyncio
from dataclasses import dataclass

import libtorrent as lt
import structlog

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.engine import placing
from smartnode.engine.integrity import lost_pieces
from smartnode.engine.keeping import Keeper
from smartnode.engine.needs import Places
from smartnode.engine.resume_store import ResumeStore
from smartnode.engine.settings import EngineSettings
from smartnode.engine.torrents import Torrent
from smartnode.errors import EngineError, SmartnodeError
from smartnode.metainfo.addresses import trackers_for, usable_trackers
from smartnode.metainfo.read import LIMITS, Metainfo
from smartnode.metainfo.resume import open_resume, read_resume

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A resume file that was read and checked; *lost*: pieces that it calls held and the disk cannot hold."""

    torrent: Torrent
    params: lt.add_torrent_params
    lost: Bitfield


async def start_all(
    torrents: dict[InfoHash, Torrent],
    keeper: Keeper,
    store: ResumeStore,
    places: Places,
    *,
    clean: bool,
    settings: EngineSettings,
) -> None:
    """Put every torrent that can be started into *torrents*; *clean*: the last stop was."""
    files = store.read_all()
    while (entry := await asyncio.to_thread(next, files, None)) is not None:
        key, raw = entry
        try:
            if isinstance(raw, EngineError):
                raise raw
            found = await asyncio.to_thread(_check, key, raw, places, clean=clean, settings=settings)
            torrents[key] = found.torrent
            await _add(keeper, found, clean=clean)
        except SmartnodeError as error:
            log.error("engine.resume_refused", info_hash=key, reason=str(error))  # noqa: TRY400 -- expected, one line
        if key in torrents and torrents[key].handle is None:
            del torrents[key]


async def new_torrent(
    item: Item, metainfo: Metainfo, places: Places, *, settings: EngineSettings
) -> tuple[Torrent, lt.add_torrent_params]:
    """Return the record of a torrent that the engine does not have yet, and libtorrent's parameters to add it with."""
    params = lt.load_torrent_buffer(metainfo.raw, LIMITS)
    folder, whole = await asyncio.to_thread(placing.find, places, item.key, metainfo)
    torrent = Torrent(key=item.key, metainfo=metainfo, folder=folder, whole=whole)
    torrent.trackers = tuple(trackers_for(item, metainfo, allow_private=settings.allow_private))
    return torrent, params


def _check(key: InfoHash, raw: bytes, places: Places, *, clean: bool, settings: EngineSettings) -> Found:
    resumed, params = read_resume(raw), open_resume(raw)[1]
    if resumed.info_hash != key:
        message = f"the file holds another torrent: {resumed.info_hash}"
        raise EngineError(message, cure="delete the file")
    folder, whole = placing.find(places, resumed.key, resumed.metainfo)
    lost = lost_pieces(folder, resumed.metainfo, resumed.have)
    torrent = Torrent(key=resumed.key, metainfo=resumed.metainfo, folder=folder, whole=whole)
    torrent.saved_have, torrent.saved_wanted = resumed.have, resumed.wanted
    torrent.have, torrent.wanted = resumed.have - lost, resumed.wanted
    torrent.uploaded, torrent.downloaded = resumed.uploaded, resumed.downloaded
    if not clean:
        params.unfinished_pieces = {}
    torrent.trackers = tuple(usable_trackers(params.trackers, allow_private=settings.allow_private))
    return Found(torrent=torrent, params=params, lost=lost)


async def _add(keeper: Keeper, found: Found, *, clean: bool) -> None:
    torrent, params = found.torrent, found.params
    if found.lost.count():
        log.warning("engine.pieces_lost", info_hash=torrent.info_hash, pieces=found.lost.count())
    await keeper.put_in_place(torrent)
    if found.lost.count() or not clean:
        await keeper.begin(torrent, params)
    else:
        await keeper.add(torrent, params)
    if not torrent.have.count() and not torrent.wanted.count():
        await keeper.drop(torrent, keeper.handle_of(torrent))
