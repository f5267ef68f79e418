"""The .torrent files that a cycle needs, a few at once and within a deadline: a server that stalls costs one cycle
seconds.

A file that cannot be had makes its item wait (backoff); a file that is only late may be in the cache when it is asked
for again.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from smartnode.cycle.backoff import Backoff
from smartnode.cycle.needs import CatalogueRoom
from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Layout
from smartnode.errors import MetainfoError
from smartnode.metainfo.read import Metainfo

AT_ONCE = 8
ALL_WITHIN_S = 15.0
LAYOUTS_PER_CYCLE = 10
LAYOUTS_KEPT = 20_000


class Metainfos:
    """Reads .torrent files through the catalogue; remembers how their torrents are cut."""

    def __init__(self, catalogue: CatalogueRoom, backoff: Backoff) -> None:
        """Read from *catalogue*; failures go into *backoff*."""
        self._catalogue = catalogue
        self._backoff = backoff
        self._layouts: dict[InfoHash, Layout] = {}

    def layout(self, info_hash: InfoHash) -> Layout | None:
        """Return the cut of a torrent whose .torrent was read, None otherwise."""
        return self._layouts.get(info_hash)

    async def read(self, items: Sequence[Item], now: datetime) -> dict[InfoHash, Metainfo | str]:
        """Return the .torrent of each item, or in one line why it could not be had; 15 s for all of them."""
        gate = asyncio.Semaphore(AT_ONCE)
        until = asyncio.get_running_loop().time() + ALL_WITHIN_S

        async def one(item: Item) -> Metainfo | str:
            try:
                async with asyncio.timeout_at(until), gate:
                    return await self._catalogue.metainfo(item)
            except MetainfoError as error:
                return str(error)
            except TimeoutError:
                return f"the .torrent did not come within {ALL_WITHIN_S:.0f} s"

        named = {item.torrent.info_hash: item for item in items if item.torrent is not None}
        answers = await asyncio.gather(*map(one, named.values()))
        for info_hash, answer in zip(named, answers, strict=True):
            if isinstance(answer, str):
                self._backoff.failed(info_hash, answer, now)
            else:
                self._remember(info_hash, answer.layout)
        return dict(zip(named, answers, strict=True))

    def _remember(self, info_hash: InfoHash, layout: Layout) -> None:
        self._layouts[info_hash] = layout
        while len(self._layouts) > LAYOUTS_KEPT:
            self._layouts.pop(next(iter(self._layouts)))
