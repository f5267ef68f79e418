"""A .torrent file is used only when it is the one that the catalogue names: info-hash, size and piece length agree.

What was checked once is kept in the cache under its info-hash and checked again when read; nothing wrong is ever kept.
Addresses come from catalogue rows, so that they are followed to public hosts only unless private ones are allowed.
"""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import structlog

from smartnode.catalogue.answer import DownloadError
from smartnode.catalogue.download import Bounds, Manners, download
from smartnode.catalogue.intake import Intake
from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.network import STRAIGHT, Way
from smartnode.errors import MetainfoError
from smartnode.metainfo.read import MAX_TORRENT_BYTES, Metainfo, read_metainfo
from smartnode.web.address import scheme_of, web_address

TORRENT_BOUNDS = Bounds(max_bytes=MAX_TORRENT_BYTES, deadline_s=120.0)
_CURE = "ask the publisher to correct the catalogue"
_log = structlog.get_logger(__name__)


class Torrents:
    """The .torrent files in ``<cache>/torrents``."""

    def __init__(
        self, *, cache: Path, allow_private: bool, bounds: Bounds = TORRENT_BOUNDS, way: Way = STRAIGHT
    ) -> None:
        self._folder = cache / "torrents"
        self._manners = Manners(
            bounds=bounds,
            allow_private=allow_private,
            address=partial(web_address, allow_private=allow_private),
            head=_any_head,
            way=way,
        )

    async def metainfo(self, item: Item) -> Metainfo:
        """Return the checked .torrent of *item*, from the cache or from its address; MetainfoError says why not."""
        torrent = item.torrent
        if torrent is None:
            message = f"{item.key} has no torrent"
            raise MetainfoError(message)
        cached = self._folder / f"{torrent.info_hash}.torrent"
        found = await asyncio.to_thread(_cached, cached, torrent)
        return found if found is not None else await self._fetch(item, torrent, cached)

    async def _fetch(self, item: Item, torrent: Torrent, cached: Path) -> Metainfo:
        url = torrent.metainfo_url
        if url is None:
            message = f"{item.key} names no .torrent file, and finding it by info-hash is not supported yet"
            raise MetainfoError(message, cure=_CURE)
        if scheme_of(url) == "magnet":
            message = f"not supported yet: {item.key} has a magnet link only"
            raise MetainfoError(message, cure="ask the publisher for an http(s) address of the .torrent file")
        intake = Intake(cached.with_name(f"{cached.name}-{os.getpid()}-{time.monotonic_ns()}.tmp"))
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            await download(url, intake, manners=self._manners)
            return await asyncio.to_thread(_keep, intake.file, cached, torrent)
        except DownloadError as error:
            message = f"the .torrent of {item.key} cannot be fetched from {url}: {error}"
            raise MetainfoError(message) from error
        except OSError as error:
            message = f"the .torrent of {item.key} cannot be kept: {error}"
            raise MetainfoError(message, cure="check the permissions and the room of the cache directory") from error
        finally:
            await asyncio.to_thread(intake.close)


def check(metainfo: Metainfo, torrent: Torrent) -> Metainfo:
    """Return *metainfo* when it is the torrent that the catalogue names; MetainfoError with both values otherwise."""
    for name, claimed, real in (
        ("torrent:info_hash", torrent.info_hash_v1, metainfo.info_hash_v1),
        ("torrent:info_hash_v2", torrent.info_hash_v2, metainfo.info_hash_v2),
        ("the key", torrent.info_hash, metainfo.info_hash),
        ("torrent:size", torrent.size, metainfo.layout.total_size),
        ("torrent:piece_length", torrent.piece_length, metainfo.layout.piece_length),
    ):
        if claimed is not None and claimed != real:
            message = f"{name} is {claimed} in the catalogue but {real} in the .torrent file"
            raise MetainfoError(message, cure=_CURE)
    return metainfo


def _cached(file: Path, torrent: Torrent) -> Metainfo | None:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_TORRENT_BYTES + 1)
        return check(read_metainfo(raw), torrent)
    except FileNotFoundError:
        return None
    except (OSError, MetainfoError) as error:
        _log.warning("catalogue.cache_refused", info_hash=torrent.info_hash, reason=str(error))
        return None


def _keep(fresh: Path, cached: Path, torrent: Torrent) -> Metainfo:
    metainfo = check(read_metainfo(fresh.read_bytes()), torrent)
    fresh.replace(cached)
    return metainfo


def _any_head(_head: bytes) -> None:
    """Take any first bytes: the info-hash decides."""
