"""What a torrent holds only changes in an order that a crash at any point survives: the resume file first, the data
after.

Fetch: the data of new pieces is made durable, then the resume file says that they are held.
Evict: the resume file says that they are not held, the torrent leaves the session, its blocks are given back, it is
added again (no API of libtorrent drops a piece: arvidn/libtorrent#3516). Peers are dropped and come back in seconds.
Every function here runs under the torrent's lock.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import libtorrent as lt
import structlog

from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.proof import Block
from smartnode.engine import placing
from smartnode.engine.integrity import lost_pieces, present_pieces, worth_hashing
from smartnode.engine.live import Live, priorities
from smartnode.engine.needs import Places, Puncher
from smartnode.engine.reading import pieces_of, read_blocks
from smartnode.engine.recording import for_file, for_session, sealed
from smartnode.engine.resume_store import ResumeStore, sync_files
from smartnode.engine.torrents import Torrent
from smartnode.errors import EngineError, SmartnodeError
from smartnode.metainfo.extents import runs_to_punch, spans
from smartnode.metainfo.resume import have_of, open_resume, write_resume

log = structlog.get_logger(__name__)


class Keeper:
    """Adds, saves, evicts and moves torrents; *live* is the session, *store* the resume files, *added* is told of every
    torrent that came into the session.
    """

    def __init__(
        self, live: Live, store: ResumeStore, places: Places, puncher: Puncher, *, added: Callable[[Torrent], None]
    ) -> None:
        """Work with the given rooms; nothing is done yet."""
        self._added = added
        self._live = live
        self._store = store
        self._places = places
        self._puncher = puncher

    @staticmethod
    def handle_of(torrent: Torrent) -> lt.torrent_handle:
        """Return the torrent's handle; EngineError when a failure left it outside the session."""
        if torrent.handle is None:
            message = f"the torrent {torrent.info_hash} is not in the session"
            raise EngineError(message, cure="restart the node")
        return torrent.handle

    async def record(self, torrent: Torrent, params: lt.add_torrent_params, *, before: float | None = None) -> None:
        """Write the resume file of a torrent that is not in the session: what the record says is held and wanted.
        EngineError, and nothing is written, once it is past *before* (monotonic seconds).
        """
        for_file(params, torrent)
        raw = write_resume(params, torrent.key)

        def write() -> None:  # in the thread: it may have waited for one
            if before is not None and time.monotonic() > before:
                message = "the proof is too old"
                raise EngineError(message, cure="the holders are proved again before the next try")
            self._store.write(torrent.info_hash, raw)

        await asyncio.to_thread(write)
        torrent.saved_have, torrent.saved_wanted = torrent.have, torrent.wanted

    async def begin(self, torrent: Torrent, params: lt.add_torrent_params) -> None:
        """Add a torrent whose files may hold more than the record says: the resume file first, then the blocks of
        what is not held are given back. Where nothing is held, what lies there is hashed before (the state was lost,
        this may be the last copy): by us along the extents, by libtorrent where most of the torrent lies there.
        """
        verify = not torrent.have.count() and await asyncio.to_thread(worth_hashing, torrent.folder, torrent.metainfo)
        if not verify and not torrent.have.count():
            torrent.have = await asyncio.to_thread(present_pieces, torrent.folder, torrent.metainfo)
        await self.record(torrent, params)
        if not verify:
            try:
                await self.reclaim(torrent, kept=torrent.have, touched=Bitfield.full(torrent.have.length))
            except SmartnodeError as error:
                log.warning("engine.not_reclaimed", info_hash=torrent.info_hash, reason=str(error))
        await self.add(torrent, params, verify=verify)
        self.handle_of(torrent).post_status(lt.torrent_handle.query_pieces)

    async def add(self, torrent: Torrent, params: lt.add_torrent_params, *, verify: bool = False) -> None:
        """Add what the record says is held and wanted; *verify*: files that lie there already are hashed instead."""
        for_session(params, torrent)
        if verify:
            params.have_pieces = []
        given = torrent.web_seeds
        handle = await self._live.add(params, verify=verify)
        for url in set(given) ^ set(torrent.web_seeds):  # named, or failed, while it was added
            (handle.add_url_seed if url in torrent.web_seeds else handle.remove_url_seed)(url)
        torrent.handle = handle
        self._added(torrent)

    async def save(self, torrent: Torrent) -> bytes:
        """Make what is held durable, then say so in the resume file; returns libtorrent's resume data."""
        handle = self.handle_of(torrent)
        wanted = torrent.wanted
        raw = await self._live.save(handle, torrent.info_hash)
        if raw is None:
            message = "libtorrent gave no resume data"
            raise EngineError(message, cure="the next cycle tries again")
        return await self._write(torrent, raw, wanted)

    async def save_counters(self, torrent: Torrent) -> None:
        """Save a torrent only if something changed, be it only what was uploaded."""
        wanted = torrent.wanted
        raw = await self._live.save(self.handle_of(torrent), torrent.info_hash, changed_only=not torrent.unsaved)
        if raw is not None:
            await self._write(torrent, raw, wanted)

    async def _write(self, torrent: Torrent, raw: bytes, wanted: Bitfield) -> bytes:
        resume, have = await asyncio.to_thread(self._persist, torrent, raw)
        torrent.saved_have, torrent.saved_wanted = have, wanted
        return resume

    async def remap(self, torrent: Torrent, wanted: Bitfield) -> None:
        """Make *wanted* the target; what is held stays held.

        Requests that a web seed already answers go on for tens of megabytes whatever the priorities say, so a target
        that gives up pieces on their way is reached by taking the torrent out and in again.
        """
        handle = self.handle_of(torrent)
        if ((torrent.wanted - wanted) - torrent.have).count():
            raw = await self.save(torrent)
            nothing = Bitfield.empty(wanted.length)
            await self._rebuild(torrent, raw, gone=nothing, wanted=wanted)
            return
        handle.prioritize_pieces(priorities(wanted))
        torrent.wanted = wanted
        await self.save(torrent)

    async def evict(self, torrent: Torrent, pieces: Bitfield, *, before: float | None = None) -> Bytes:
        """Let go of *pieces*; returns the bytes of those that were held. EngineError when the resume file would say so
        only after *before* (monotonic seconds): then all of them stay.
        """
        raw = await self.save(torrent)
        held, wanted = torrent.saved_have & pieces, torrent.wanted - pieces
        if not held.count() and wanted.count():
            await self.remap(torrent, wanted)
        else:
            await self._rebuild(torrent, raw, gone=held, wanted=wanted, before=before)
        return torrent.metainfo.layout.bytes_in(held)

    async def read(self, torrent: Torrent, blocks: Sequence[Block]) -> list[bytes]:
        """Return the bytes of *blocks*; EngineError when one of their pieces is not held, or no longer in its file."""
        asked = pieces_of(torrent.metainfo.layout, blocks)
        if (asked & torrent.have) == asked and (asked - torrent.saved_have).count():
            await self.save(torrent)  # libtorrent may still have them in memory only
        missing = asked - (torrent.have & torrent.saved_have)
        if missing.count():
            message = f"piece {missing.indices()[0]} of the torrent {torrent.info_hash} is not held"
            raise EngineError(message, cure="the next cycle sees what is held")
        return await asyncio.to_thread(read_blocks, torrent.folder, torrent.metainfo, blocks)

    async def repair(self, torrent: Torrent) -> Bitfield:
        """Look at the files again and stop offering what they do not hold; returns those pieces. A SmartnodeError when
        the whole data root is absent: then nothing is lost.
        """
        await asyncio.to_thread(self._puncher.require_root)
        raw = await self.save(torrent)
        lost = await asyncio.to_thread(lost_pieces, torrent.folder, torrent.metainfo, torrent.saved_have)
        if lost.count():
            await self._rebuild(torrent, raw, gone=lost, wanted=torrent.wanted)
        return lost

    async def settle(self, torrent: Torrent) -> None:
        """Move a torrent that became whole to the place of whole items; a single file keeps its peers."""
        raw = await self.save(torrent)
        old, new = torrent.folder, placing.place(self._places, torrent.key, torrent.metainfo, whole=True)
        handle = self.handle_of(torrent)
        if torrent.metainfo.single_file:
            await self._live.move(handle, torrent.info_hash, new)
            torrent.folder, torrent.whole = new, True
        else:
            params = open_resume(raw)[1]
            await self._take_out(torrent, handle)
            try:
                await self._relocate(torrent, whole=True)
            finally:
                await self._add_again(torrent, params)
        await asyncio.to_thread(self._puncher.remove_empty, old)

    async def drop(self, torrent: Torrent, handle: lt.torrent_handle) -> None:
        """Delete a torrent of which nothing is held or wanted: its files, then its resume file, then its folder."""
        torrent.handle = None
        await self._live.delete(handle, torrent.info_hash)
        await asyncio.to_thread(self._store.delete, torrent.info_hash)
        await asyncio.to_thread(self._puncher.remove_empty, torrent.folder)

    async def reclaim(self, torrent: Torrent, *, kept: Bitfield, touched: Bitfield) -> None:
        """Give back every block of pieces outside *kept* in the stretches that meet *touched*."""
        await asyncio.to_thread(self._punch, torrent, kept, touched)

    async def _rebuild(
        self, torrent: Torrent, raw: bytes, *, gone: Bitfield, wanted: Bitfield, before: float | None = None
    ) -> None:
        """Write the resume file, by *before*, remove, put in place, punch, add again; a hole that cannot be punched is
        an error after the torrent was added again.
        """
        handle, count = self.handle_of(torrent), torrent.have.length
        params = open_resume(raw)[1]
        # Peers that we dialled are dialled again at once; the others come back by themselves.
        params.peers = await self._live.dialled(handle)
        as_it_was = torrent.have, torrent.wanted
        dropped = torrent.wanted - wanted - torrent.have
        started = Bitfield.from_indices(params.unfinished_pieces, count)
        params.unfinished_pieces = {p: blocks for p, blocks in params.unfinished_pieces.items() if p in wanted}
        # From here on the session's reports are of a torrent that is about to leave: they are not taken over.
        torrent.handle = None
        torrent.have, torrent.wanted = have_of(params, count) - gone, wanted
        try:
            await self.record(torrent, params, before=before)
        except SmartnodeError:
            torrent.handle = handle
            torrent.have, torrent.wanted = as_it_was
            handle.post_status(lt.torrent_handle.query_pieces)  # what came meanwhile was not taken over
            raise
        if not torrent.have.count() and not wanted.count():
            await self.drop(torrent, handle)
            return
        await self._take_out(torrent, handle)
        try:
            if torrent.whole:
                await self._relocate(torrent, whole=False)
            await self.reclaim(
                torrent, kept=torrent.have | (started & wanted), touched=gone | dropped | (started - wanted)
            )
        finally:
            await self._add_again(torrent, params)

    async def _add_again(self, torrent: Torrent, params: lt.add_torrent_params) -> None:
        try:
            await self.add(torrent, params)
            # A report made before the handle was known was not taken over.
            self.handle_of(torrent).post_status(lt.torrent_handle.query_pieces)
        except SmartnodeError as error:
            torrent.failure = str(error)
            raise

    async def _take_out(self, torrent: Torrent, handle: lt.torrent_handle) -> None:
        torrent.handle = None
        try:
            await self._live.remove(handle, torrent.info_hash, silently=True)
        except EngineError:
            torrent.failure = "the session keeps the torrent although it was told to let go; restart the node"
            raise

    async def _relocate(self, torrent: Torrent, *, whole: bool) -> None:
        target = placing.place(self._places, torrent.key, torrent.metainfo, whole=whole)
        await asyncio.to_thread(placing.move, torrent.folder, target)
        torrent.folder, torrent.whole = target, whole

    async def put_in_place(self, torrent: Torrent) -> None:
        """Move the files of a torrent that is not in the session to where they belong."""
        if torrent.whole != torrent.complete:
            await self._relocate(torrent, whole=torrent.complete)

    def _persist(self, torrent: Torrent, raw: bytes) -> tuple[bytes, Bitfield]:
        resume = sealed(raw, torrent)
        have = have_of(open_resume(resume)[1], torrent.metainfo.layout.num_pieces)
        fresh = (have - torrent.saved_have).ranges()
        sync_files(torrent.folder / path for path in {span.file.path for span in spans(torrent.metainfo, fresh)})
        self._store.write(torrent.info_hash, resume)
        return resume, have

    def _punch(self, torrent: Torrent, kept: Bitfield, touched: Bitfield) -> None:
        runs = runs_to_punch(torrent.metainfo, kept=kept, touched=touched)
        for file, holes in runs.items():
            path = torrent.folder / file.path
            if path.is_file() and not path.is_symlink():
                self._puncher.punch(path, holes)
