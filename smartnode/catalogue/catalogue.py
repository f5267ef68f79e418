"""The catalogue in use is always a whole, accepted one: the last good snapshot stays while its sources are down, slow,
cut off or serve something else.

The first of the configured sources that answers with an acceptable file wins. A file of which no row can be used never
takes the place of one that had some. An unchanged file is not swapped again.

The stored file is hashed and read once per process, and again only when another process swapped it or another slice of
a large catalogue is wanted: a poll that finds nothing new costs one request and no reading.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from smartnode.catalogue.answer import NOTHING_KNOWN, Validators
from smartnode.catalogue.download import Bounds, Heard, unheard
from smartnode.catalogue.read import Reading, read_catalogue
from smartnode.catalogue.selection import DEFAULT_CAP, Selection
from smartnode.catalogue.source import CATALOGUE_BOUNDS, BusyError, Incoming, fetch, is_web, without_user
from smartnode.catalogue.store import Note, Store
from smartnode.catalogue.torrents import Torrents
from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.identity import InfoHash
from smartnode.domain.network import STRAIGHT, Way
from smartnode.errors import CatalogueError
from smartnode.metainfo.read import Metainfo
from smartnode.web.retry import retry_after

MIN_WAIT, MAX_WAIT = timedelta(seconds=1), timedelta(hours=1)
"""Bounds of what a busy source may ask for; the schedule's own pace is between them."""
_LOOKS = 3  # another process may swap the file under our eyes
_log = structlog.get_logger(__name__)


class Catalogue:
    """The catalogue room. *urls* are asked in order; *cap* bounds the items held in memory (see ``selection``). With a
    *proxy* nothing is asked or resolved past it. *heard* is told what the clocks of its sources show.
    """

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
        way: Way = STRAIGHT,
        heard: Heard = unheard,
    ) -> None:
        self._heard = heard
        self._store = Store(state)
        self._torrents = Torrents(cache=cache, allow_private=allow_private, way=way)
        self._urls = urls
        self._allow_unsigned, self._allow_private = allow_unsigned, allow_private
        self._cap, self._bounds, self._way = cap, bounds, way
        self._snapshot: Snapshot | None = None
        self._selection: Selection | None = None
        self._stored: Note | None = None
        self._degraded: tuple[str, ...] = ()
        self._wait: timedelta | None = None
        self._one_at_a_time = asyncio.Lock()

    def current(self) -> Snapshot | None:
        """Return the snapshot in use, None when there is none."""
        return self._snapshot

    def degraded(self) -> tuple[str, ...]:
        """Return why the last refresh was not taken, each line starting with ``catalogue: ``; empty when it was."""
        return self._degraded

    def retry_after(self) -> timedelta | None:
        """Return how long the busiest source of the last refresh asks to be left alone, from 1 s to 1 h; None when none
        said so.
        """
        return self._wait

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
            await self._look(self._wanted(held, slice_number))
            return self._snapshot

    async def refresh(
        self, *, now: datetime, held: frozenset[InfoHash] = frozenset(), slice_number: int = 0
    ) -> Snapshot:
        """Ask the sources, take the first acceptable file, and return the snapshot in use.

        The stored file is read before only where the wanted slice of it is not in view: at the first call, after
        another process swapped it, and at each call for a catalogue over the cap, so that its slices go round even
        while nothing changes. CatalogueError only when there is no accepted snapshot at all or unsigned catalogues are
        not allowed; otherwise the last good one is returned and ``degraded`` tells why.
        """
        self._require_allowed()
        selection = self._wanted(held, slice_number)
        async with self._one_at_a_time:
            self._degraded, self._wait = (), None
            await self._look(selection)
            stored = self._degraded
            reasons: list[str] = []
            for url in self._urls:
                try:
                    self._snapshot = await self._take(url, selection, now)
                except CatalogueError as error:
                    _log.warning("catalogue.source_refused", source_number=len(reasons), reason=str(error))
                    reasons.append(str(error))
                    self._wait = _longest(self._wait, error, now)
                else:
                    self._degraded = ()
                    return self._snapshot
            self._degraded = (*stored, *(f"catalogue: {reason}" for reason in reasons))
            if self._snapshot is None:
                raise _no_catalogue(reasons)
            return self._snapshot

    async def _look(self, selection: Selection) -> None:
        """Bring *selection* of the stored file into view, if it is not there; whatever is read is hashed before."""
        try:
            for _ in range(_LOOKS):
                if self._shows(selection) and await asyncio.to_thread(self._store.is_as_seen):
                    return
                self._stored = None
                note = self._stored = await asyncio.to_thread(self._store.current)
                if note is None or self._shows(selection):
                    return
                file = self._store.file
                reading = await read_catalogue(file, selection=selection, allow_private=self._allow_private)
                self._snapshot, self._selection = _snapshot(reading, note), selection
        except CatalogueError as error:
            self._degraded = (f"catalogue: {error}",)

    def _shows(self, selection: Selection) -> bool:
        """Whether the snapshot in memory is *selection* of the stored file, or the whole of it, so that no slice would
        differ.
        """
        seen = self._snapshot
        if seen is None or self._stored is None or seen.sha256 != self._stored.sha256:
            return False
        return len(seen.items) == seen.good or self._selection == selection

    async def _take(self, url: str, selection: Selection, now: datetime) -> Snapshot:
        source, sha256 = without_user(url), self._readable()
        known = await asyncio.to_thread(self._known, source, sha256)
        intake = await asyncio.to_thread(self._store.intake, url=source if is_web(url) else None)
        try:
            incoming = await fetch(url, intake, bounds=self._bounds, way=self._way, known=known, heard=self._heard)
            if incoming is not None and incoming.sha256 != sha256:
                return await self._swap(incoming, selection, now)
            if incoming is not None:
                await self._remember(incoming)
            assert self._snapshot is not None
            return self._snapshot
        finally:
            await asyncio.to_thread(intake.close)

    async def _swap(self, incoming: Incoming, selection: Selection, now: datetime) -> Snapshot:
        reading = await read_catalogue(incoming.file, selection=selection, allow_private=self._allow_private)
        if not reading.good:
            raise _nothing_usable(incoming.source, reading)
        self._stored = await asyncio.to_thread(
            self._store.accept, incoming.file, sha256=incoming.sha256, source=incoming.source, now=now
        )
        self._snapshot, self._selection = _snapshot(reading, self._stored), selection
        await self._remember(incoming)
        return self._snapshot

    def _readable(self) -> str | None:
        """Return the digest of the stored file if the snapshot in memory is of it; only then may a source say that it
        is unchanged.
        """
        seen, stored = self._snapshot, self._stored
        return stored.sha256 if seen is not None and stored is not None and seen.sha256 == stored.sha256 else None

    def _known(self, source: str, sha256: str | None) -> Validators:
        return NOTHING_KNOWN if sha256 is None else self._store.known(source, sha256=sha256)

    async def _remember(self, incoming: Incoming) -> None:
        await asyncio.to_thread(self._store.remember, incoming.source, incoming.validators, sha256=incoming.sha256)

    def _wanted(self, held: frozenset[InfoHash], slice_number: int) -> Selection:
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


def _longest(wait: timedelta | None, error: CatalogueError, now: datetime) -> timedelta | None:
    asked = retry_after(error.retry_after, now) if isinstance(error, BusyError) else None
    if asked is None:
        return wait
    return max(wait or MIN_WAIT, min(asked, MAX_WAIT))


def _nothing_usable(source: str, reading: Reading) -> CatalogueError:
    first = f", the first because its {reading.rejected[0].reason}" if reading.rejected else ""
    message = f"{source}: none of its {reading.rows} rows can be used{first}"
    return CatalogueError(message, cure="see smartnode catalogue inspect")


def _no_catalogue(reasons: list[str]) -> CatalogueError:
    if not reasons:
        return CatalogueError("no catalogue is configured", cure="set catalogue.urls")
    return CatalogueError("no catalogue could be used: " + "; ".join(reasons))
