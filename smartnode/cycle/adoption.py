"""Data that lies in its place without a resume file is taken up again: a lost state must not turn copies into dead
weight.

Looked for once per accepted catalogue file, a few items at a time; what has the right hash is held, nothing is
fetched.
"""

from datetime import datetime

import structlog

from smartnode.cycle.metainfos import Metainfos
from smartnode.cycle.needs import DiskRoom, EngineRoom
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.errors import SmartnodeError

PER_CYCLE = 4

log = structlog.get_logger(__name__)


class Adoption:
    """Finds items whose files are there and whose torrents the engine does not know."""

    def __init__(self, engine: EngineRoom, disk: DiskRoom, metainfos: Metainfos) -> None:
        """Ask *disk* what lies there, hand it to *engine* with the .torrent files of *metainfos*."""
        self._engine = engine
        self._disk = disk
        self._metainfos = metainfos
        self._seen: str | None = None
        self._found: list[Item] = []

    async def run(self, snapshot: Snapshot | None, now: datetime) -> None:
        """Take up a few items; what cannot be read now is tried again with the next catalogue file or start."""
        if snapshot is not None and snapshot.sha256 != self._seen:
            self._seen = snapshot.sha256
            self._found = [item for item in snapshot.items if await self._lies_there(item)]
        batch, self._found = self._found[:PER_CYCLE], self._found[PER_CYCLE:]
        if not batch:
            return
        read = await self._metainfos.read(batch, now)
        for item in batch:
            metainfo = read.get(item.torrent.info_hash) if item.torrent is not None else None
            if metainfo is None or isinstance(metainfo, str):
                log.warning("item.not_adopted", item=str(item.key), reason=metainfo)
                continue
            try:
                await self._engine.adopt(item, metainfo)
            except SmartnodeError as error:
                log.warning("item.not_adopted", item=str(item.key), reason=str(error))
                continue
            log.info("item.adopted", item=str(item.key), info_hash=metainfo.info_hash)

    async def _lies_there(self, item: Item) -> bool:
        torrent = item.torrent
        if torrent is None or torrent.info_hash in self._engine.holdings():
            return False
        return await self._disk.holds_data(item.key, torrent.info_hash)
