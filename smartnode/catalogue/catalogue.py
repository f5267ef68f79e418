"""The catalogue in use is always a whole, accepted one: the last good snapshot stays while its sources are down, slow,
cut off or serve something else.

The first of the configured sources that answers with an acceptable file wins. A file of which no row can be used never
takes the place of one that had some. An unchanged file is not swapped again.
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from smartnode.catalogue.download import Bounds
from smartnode.catalogue.read import Reading, read_catalogue
from smartnode.catalogue.selection import DEFAULT_CAP, Selection
from smartnode.catalogue.source import CATALOGUE_BOUNDS, fetch
from smartnode.catalogue.store import Note, Store
from smartnode.catalogue.torrents import Torrents
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash
from smartnode.errors import CatalogueError
from smartnode.metainfo.read import Metainfo

_log = structlog.get_logger(__name__)


class Catalogue:
    """The catalogue room. *urls* are asked in order; *cap* bounds the items held in memory (see ``selection``)."""

    def __init__(
        self,
        *,
        state: Path,
        cache: Path,
        urls: tuple[str, ...],
        allow_unsigned: bool,
        allow_private: bool,
        cap: int = DEFAULT_CAP,
        bounds: Bounds = CATALOGUE_BOUNDS,
    ) -> None:
        self._store = Store(state)
        self._torrents = Torrents(cache=cache, allow_private=allow_private)
        self._urls = urls
        self._allow_unsigned, self._allow_private = allow_unsigned, allow_private
        self._cap, self._bounds = cap, bounds
        self._snapshot: Snapshot | None = None
        self._stored: str | None = None
        self._degraded: tuple[str, ...] = ()
        self._one_at_a_time = asyncio.Lock()

    def current(self) -> Snapshot | None:
        """Return the snapshot in use, None when there is none."""
        return self._snapshot

    def degraded(self) -> tuple[str, ...]:
        """Return why the last refresh was not taken, each line starting with ``catalogue: ``; empty when it was."""
        return self._degraded

    async def metainfo(self, item: Item) -> Metainfo:
        """Return the checked .torrent of *item*; MetainfoError when it cannot be had."""
        return await self._torrents.metainfo(item)

    async def load(self, *, held: frozenset[InfoHash] = frozenset(), slice_number: int = 0) -> Snapshot | None:
        """Read the stored snapshot again, without the network: at the start, and to bring the next slice into view.

        None when there is none, or when it is damaged (then ``degraded`` says so); CatalogueError when unsigned
        catalogues are not allowed.
        """
        self._require_allowed()
        async with self._one_at_a_time:
            self._degraded = ()
            await self._load(self._selection(held, slice_number))
            return self._snapshot

    async def refresh(
        self, *, now: datetime, held: frozenset[InfoHash] = frozenset(), slice_number: int = 0
    ) -> Snapshot:
        """Ask the sources, take the first acceptable file, and return the snapshot in use.

        CatalogueError only when there is no accepted snapshot at all or unsigned catalogues are not allowed; otherwise
        the last good one is returned and ``degraded`` tells why.
        """
        self._require_allowed()
        selection = self._selection(held, slice_number)
        async with self._one_at_a_time:
            self._degraded = ()
            await self._load(selection)
            stored = self._degraded
            reasons: list[str] = []
            for url in self._urls:
                try:
                    self._snapshot = await self._take(url, selection, now)
                except CatalogueError as error:
                    _log.warning("catalogue.source_refused", source_number=len(reasons), reason=str(error))
                    reasons.append(str(error))
                else:
                    self._degraded = ()
                    return self._snapshot
            self._degraded = (*stored, *(f"catalogue: {reason}" for reason in reasons))
            if self._snapshot is None:
                raise _no_catalogue(reasons)
            return self._snapshot

    async def _load(self, selection: Selection) -> None:
        self._stored = None
        try:
            note = await asyncio.to_thread(self._store.current)
            if note is None:
                return
            self._stored = note.sha256
            if not self._is_whole(note):
                reading = await read_catalogue(self._store.file, selection=selection, allow_private=self._allow_private)
                self._snapshot = _snapshot(reading, note)
        except CatalogueError as error:
            self._degraded = (f"catalogue: {error}",)

    def _is_whole(self, note: Note) -> bool:
        """Whether the snapshot in memory is of this file and leaves nothing out, so that no slice would differ."""
        seen = self._snapshot
        return seen is not None and seen.sha256 == note.sha256 and len(seen.items) == seen.good

    async def _take(self, url: str, selection: Selection, now: datetime) -> Snapshot:
        file = await asyncio.to_thread(self._store.temporary)
        try:
            incoming = await fetch(url, file, bounds=self._bounds)
            if self._snapshot is not None and incoming.sha256 == self._snapshot.sha256 == self._stored:
                return self._snapshot
            reading = await read_catalogue(file, selection=selection, allow_private=self._allow_private)
            if not reading.good:
                raise _nothing_usable(incoming.source, reading)
            note = await asyncio.to_thread(self._store.accept, incoming, now)
            return _snapshot(reading, note)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)

    def _selection(self, held: frozenset[InfoHash], slice_number: int) -> Selection:
        return Selection(cap=self._cap, held=held, slice_number=slice_number)

    def _require_allowed(self) -> None:
        if not self._allow_unsigned:
            message = "signatures of catalogues cannot be checked yet, and unsigned ones are not allowed"
            raise CatalogueError(message, cure="set catalogue.allow_unsigned = true to use them as they are")


def snapshot_of(reading: Reading, *, sha256: str, source: str, accepted_at: datetime) -> Snapshot:
    """Return *reading* as a snapshot, unsigned."""
    return Snapshot(
        items=reading.items,
        rejected=reading.rejected,
        rejected_total=reading.rejected_total,
        rows=reading.rows,
        good=reading.good,
        with_torrent=reading.with_torrent,
        deprecated=reading.deprecated,
        sha256=sha256,
        source=source,
        accepted_at=accepted_at,
    )


def _snapshot(reading: Reading, note: Note) -> Snapshot:
    whole = snapshot_of(reading, sha256=note.sha256, source=note.source, accepted_at=note.accepted_at)
    return replace(whole, seq=note.seq)


def _nothing_usable(source: str, reading: Reading) -> CatalogueError:
    first = f", the first because its {reading.rejected[0].reason}" if reading.rejected else ""
    message = f"{source}: none of its {reading.rows} rows can be used{first}"
    return CatalogueError(message, cure="see smartnode catalogue inspect")


def _no_catalogue(reasons: list[str]) -> CatalogueError:
    if not reasons:
        return CatalogueError("no catalogue is configured", cure="set catalogue.urls")
    return CatalogueError("no catalogue could be used: " + "; ".join(reasons))
