"""One libtorrent session in the house's words: every question has a deadline, every refusal is an EngineError.

A torrent is added with its priorities set, neither paused nor auto-managed, without trackers and with its DHT off.
Calls that libtorrent answers at once are made on the loop; those that may wait for its network thread run in a thread.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.alerts import Alerts, answer
from smartnode.engine.events import Deleted, Event, ListenFailed, Listening, Moved, Removed, Saved, SaveFailed
from smartnode.engine.settings import EngineSettings, address_filter, one_peer_class, pack
from smartnode.errors import EngineError
from smartnode.metainfo.resume import DEFAULT_PRIORITY

ANSWER_WITHIN_S = 30.0
LISTEN_WITHIN_S = 5.0
MOVE_WITHIN_S = 300.0
_FLAGS_OFF = (
    lt.torrent_flags.paused
    | lt.torrent_flags.auto_managed
    | lt.torrent_flags.upload_mode
    | lt.torrent_flags.no_verify_files
    | lt.torrent_flags.disable_lsd
)
# The DHT is told when its turn comes: see announcing. The local network is told at once or, being off, never: told
# later, libtorrent says nothing there for up to five minutes.
_FLAGS_ON = lt.torrent_flags.duplicate_is_error | lt.torrent_flags.disable_dht
_SAVE = lt.save_resume_flags_t.save_info_dict | lt.save_resume_flags_t.flush_disk_cache
_QUERY = lt.torrent_handle.query_pieces
T = TypeVar("T")


class Live:
    """A running session; made by open, gone after close."""

    def __init__(self, settings: EngineSettings) -> None:
        """Prepare a session with *settings*."""
        self._settings = settings
        self._deliver: Callable[[Event], None] = _ignore
        self._alerts = Alerts(self._hear)
        self._listening: set[Address] = set()
        self._refused: list[str] = []
        self._behind_proxy = False
        self._settled: asyncio.Future[None] | None = None
        self._session: lt.session | None = None

    @property
    def listening(self) -> frozenset[Address]:
        """The addresses that this session listens on; none behind a proxy, where nobody can connect to us."""
        return frozenset(self._listening)

    @property
    def session(self) -> lt.session:
        """The session itself; EngineError when it does not run."""
        if self._session is None:
            message = "the session does not run"
            raise EngineError(message, cure="start the node")
        return self._session

    async def open(self, deliver: Callable[[Event], None]) -> None:
        """Start the session and wait until it listens; its events go to *deliver*, on the loop.

        EngineError when no address can be listened on.
        """
        self._deliver = deliver
        settings = self._settings
        try:
            chosen: Any = pack(settings)
            session = lt.session(chosen)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            message = f"libtorrent refuses its settings: {error!r}"
            raise EngineError(message, cure="install the libtorrent that the requirements name") from error
        self._session = session
        session.set_ip_filter(address_filter(settings))
        session.set_peer_class_filter(one_peer_class())
        self._settled = asyncio.get_running_loop().create_future()
        self._alerts.open(session)
        try:
            await answer(self._settled, within_s=LISTEN_WITHIN_S, what="listen")
        except EngineError as error:
            await self.close()
            message = f"nothing listens on {', '.join(settings.listen)}: {error.text}"
            cure = "choose a free port and an address of this host in [network] listen (systemd: keep AF_NETLINK)"
            raise EngineError(message, cure=cure) from error

    async def close(self) -> None:
        """End the session; its destructor waits for the trackers' last answers, at most a second or two."""
        self._alerts.close()
        session, self._session = self._session, None
        if session is not None:
            box = [session]
            del session
            await asyncio.to_thread(box.clear)

    async def add(self, params: lt.add_torrent_params, *, verify: bool) -> lt.torrent_handle:
        """Add a torrent, running; *verify* False: what *params* call held was checked by us."""
        flags = int(params.flags) & ~int(_FLAGS_OFF)
        params.flags = flags | int(_FLAGS_ON | (0 if verify else lt.torrent_flags.no_verify_files))
        return await asyncio.to_thread(_call, self.session.add_torrent, params)

    async def save(self, handle: lt.torrent_handle, info_hash: InfoHash, *, changed_only: bool = False) -> bytes | None:
        """Return libtorrent's resume data after its write cache was flushed; None when *changed_only* and nothing
        changed, counters included, since it was last asked for.
        """
        asked: asyncio.Future[Saved | SaveFailed] = self._alerts.expect(Saved, SaveFailed, info_hash=info_hash)
        _call(handle.save_resume_data, _SAVE | (lt.save_resume_flags_t.only_if_modified if changed_only else 0))
        saved = await answer(asked, within_s=ANSWER_WITHIN_S, what="resume data")
        if isinstance(saved, SaveFailed):
            if saved.unchanged and changed_only:
                return None
            raise EngineError(saved.text, cure="the next cycle tries again")
        return saved.raw

    async def remove(self, handle: lt.torrent_handle, info_hash: InfoHash, *, silently: bool = False) -> None:
        """Take the torrent out of the session; its files are closed on return and stay. *silently*: it comes back, so
        no tracker is told that it left.
        """
        removed = self._alerts.expect(Removed, info_hash=info_hash)
        if silently:
            _call(handle.replace_trackers, [])
        _call(self.session.remove_torrent, handle)
        await answer(removed, within_s=ANSWER_WITHIN_S, what="removal")

    async def dialled(self, handle: lt.torrent_handle) -> list[tuple[str, int]]:
        """Return the addresses of the connected peers that we connected to, web seeds left out."""
        peers = await asyncio.to_thread(_call, handle.get_peer_info)
        ours = lt.peer_info.local_connection
        kind = lt.peer_info.standard_bittorrent
        return [peer.ip for peer in peers if peer.flags & ours and peer.connection_type == kind]

    async def delete(self, handle: lt.torrent_handle, info_hash: InfoHash) -> None:
        """Take the torrent out of the session and delete its files; EngineError when one stays."""
        deleted = self._alerts.expect(Deleted, info_hash=info_hash)
        _call(self.session.remove_torrent, handle, int(lt.session.delete_files))
        done = await answer(deleted, within_s=ANSWER_WITHIN_S, what="deletion")
        if done.error is not None:
            raise EngineError(done.error, cure="check the permissions of the data folder")

    async def move(self, handle: lt.torrent_handle, info_hash: InfoHash, folder: Path) -> None:
        """Move the torrent's files into *folder* without dropping its peers; EngineError when they stay."""
        moved = self._alerts.expect(Moved, info_hash=info_hash)
        _call(handle.move_storage, str(folder), int(lt.move_flags_t.fail_if_exist))
        done = await answer(moved, within_s=MOVE_WITHIN_S, what="move")
        if done.error is not None:
            raise EngineError(done.error, cure="check that nothing else lies at the item's place")

    def _hear(self, event: Event) -> None:
        match event:
            case Listening() if event.tcp:
                self._listening.add(event.address)
            case Listening() if self._settings.proxy is not None:
                # Behind a proxy nothing listens for TCP, and the one uTP socket speaks to the proxy.
                self._behind_proxy = True
            case ListenFailed() if event.tcp:
                self._refused.append(event.text)
        if self._settled is not None and not self._settled.done():
            if self._listening or self._behind_proxy:
                self._settled.set_result(None)
            elif len(self._refused) >= len(self._settings.listen):
                self._settled.set_exception(EngineError(self._refused[-1]))
        self._deliver(event)

    def pause(self) -> None:
        """Pause the whole session: no peer, no web seed, no announce."""
        self.session.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self.session.resume()

    def post_updates(self) -> None:
        """Ask for the state of every torrent that changed: one call for all of them."""
        self.session.post_torrent_updates(_QUERY)


def _ignore(_: Event) -> None:
    """Stand in before the session is opened: nobody listens yet."""


def priorities(wanted: Bitfield) -> list[int]:
    """Return one priority per piece: wanted or never requested."""
    found: list[int] = (wanted.to_array() * DEFAULT_PRIORITY).tolist()
    return found


def _call(call: Callable[..., T], *arguments: object) -> T:
    """Call libtorrent; its errors become EngineError here."""
    try:
        return call(*arguments)
    except (RuntimeError, ValueError, TypeError) as error:
        message = f"libtorrent refused: {error}"
        raise EngineError(message, cure="the next cycle tries again") from error
