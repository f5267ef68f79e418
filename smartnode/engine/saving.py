"""Many torrents are saved a few at once, and one that cannot be saved keeps no other from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from smartnode.engine.torrents import Torrent
from smartnode.errors import SmartnodeError

SAVES_AT_ONCE = 16

log = structlog.get_logger(__name__)


async def save_all(torrents: Iterable[Torrent], save: Callable[[Torrent], Awaitable[object]]) -> bool:
    """Save *torrents*; say whether all were saved. A failure is the torrent's, not the others'."""
    gate = asyncio.Semaphore(SAVES_AT_ONCE)

    async def one(torrent: Torrent) -> bool:
        async with gate, torrent.lock:
            if torrent.handle is None:
                return False
            try:
                await save(torrent)
            except SmartnodeError as error:
                log.warning("engine.not_saved", info_hash=torrent.info_hash, reason=str(error))
                return False
            return True

    return all(await asyncio.gather(*map(one, torrents)))
