"""An alert never leaves the function that popped it: what we need of it is copied into a frozen event at once.

libtorrent's alerts are pointers that die with the next pop_alerts.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libtorrent as lt
import numpy as np

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address

_TEXT = 300
_FILE_TOO_SHORT = "file too short"
_NOT_MODIFIED = "not modified"
_GET_PEERS = "get_peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A TCP socket listens at *address*."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenFailed:
    """An address of the settings cannot be listened on; *tcp*: for TCP, else for uTP."""

    text: str
    tcp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Resume data as libtorrent's bencoded dictionary."""

    info_hash: InfoHash
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed:
    """The torrent could not give its resume data, or had nothing new to give."""

    info_hash: InfoHash
    text: str
    unchanged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The torrent is out of the session, its files closed."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The files of a removed torrent are gone; *error* when one could not be deleted."""

    info_hash: InfoHash
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The files lie in the new folder; *error* when they could not be moved and stayed."""

    info_hash: InfoHash
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every wanted piece is held."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A file or the torrent failed; *lost*: what was held cannot be read, so it must be looked at again."""

    info_hash: InfoHash
    text: str
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One torrent's state; *stuck*: libtorrent stopped writing (upload mode) or paused it on an error."""

    info_hash: InfoHash
    have: Bitfield
    peers: int
    uploaded: int
    downloaded: int
    stuck: bool
    checking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The torrents that changed since the last such event."""

    changed: tuple[Progress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFailed:
    """A web seed was given up; *banned*: it sent a wrong byte."""

    info_hash: InfoHash
    url: str
    text: str
    banned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersFound:
    """One answer of the DHT to a lookup."""

    info_hash: InfoHash
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtSize:
    """Nodes in the DHT's routing table."""

    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtWork:
    """Lookups for peers that the DHT is working on, ours and those of its own announces; *nodes* in its table."""

    lookups: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsLost:
    """The alert queue overflowed: something was not heard."""


Event = (
    Listening
    | ListenFailed
    | Saved
    | SaveFailed
    | Removed
    | Deleted
    | Moved
    | Finished
    | Failed
    | States
    | MirrorFailed
    | PeersFound
    | DhtSize
    | DhtWork
    | AlertsLost
)


def key_of(hashes: lt.info_hash_t) -> InfoHash:
    """Return the torrent's key: v1, or v2 cut to 20 bytes."""
    return InfoHash(str(hashes.v1) if hashes.has_v1() else str(hashes.v2)[:40])


def copy_alert(alert: Any) -> Event | None:
    """Return *alert* as an event, None when nobody needs it; must run before the next pop_alerts."""
    copy = _OF_SESSION.get(type(alert))
    if copy is not None:
        return copy(alert)
    copy_torrent = _OF_TORRENT.get(type(alert))
    if copy_torrent is None or not alert.handle.is_valid():
        return None
    return copy_torrent(alert, key_of(alert.handle.info_hashes()))


def _listening(alert: Any) -> Event | None:
    if alert.socket_type != lt.socket_type_t.tcp:
        return None
    return Listening(address=Address(host=str(alert.address), port=int(alert.port)))


def _listen_failed(alert: Any) -> Event:
    return ListenFailed(text=_text(alert), tcp=alert.socket_type == lt.socket_type_t.tcp)


def _peers_found(alert: Any) -> Event:
    found = tuple(Address(host=host, port=port) for host, port in alert.peers())
    return PeersFound(info_hash=InfoHash(str(alert.info_hash)), addresses=found)


def _dht_work(alert: Any) -> Event:
    active = sum(request["type"] == _GET_PEERS for request in alert.active_requests)
    return DhtWork(lookups=active, nodes=sum(bucket["num_nodes"] for bucket in alert.routing_table))


def _saved(alert: Any, info_hash: InfoHash) -> Event:
    entry: Any = lt.write_resume_data(alert.params)
    return Saved(info_hash=info_hash, raw=bytes(lt.bencode(entry)))


def _save_failed(alert: Any, info_hash: InfoHash) -> Event:
    text = _text(alert)
    return SaveFailed(info_hash=info_hash, text=text, unchanged=_NOT_MODIFIED in text)


def _file_failed(alert: Any, info_hash: InfoHash) -> Event:
    text = _text(alert)
    lost = alert.error.value() == errno.ENOENT or _FILE_TOO_SHORT in text
    return Failed(info_hash=info_hash, text=text, lost=lost)


def _mirror_failed(alert: Any, info_hash: InfoHash) -> Event:
    text = _text(alert)
    return MirrorFailed(info_hash=info_hash, url=alert.server_url(), text=text, banned="banned" in text)


def _text(alert: Any) -> str:
    return str(alert.message())[:_TEXT]


def _progress(status: Any) -> Progress:
    return Progress(
        info_hash=key_of(status.info_hashes),
        have=Bitfield.from_array(np.asarray(status.pieces, dtype=np.bool_)),
        peers=status.num_peers,
        uploaded=status.all_time_upload,
        downloaded=status.all_time_download,
        stuck=bool(status.flags & (lt.torrent_flags.upload_mode | lt.torrent_flags.paused)),
        checking=status.state in _CHECKING,
    )


_CHECKING = frozenset({lt.torrent_status.states.checking_files, lt.torrent_status.states.checking_resume_data})

_OF_SESSION: dict[type[Any], Callable[[Any], Event | None]] = {
    lt.state_update_alert: lambda alert: States(changed=tuple(map(_progress, alert.status))),
    lt.session_stats_alert: lambda alert: DhtSize(nodes=int(alert.values.get("dht.dht_nodes", 0))),
    lt.listen_succeeded_alert: _listening,
    lt.listen_failed_alert: _listen_failed,
    lt.dht_get_peers_reply_alert: _peers_found,
    lt.dht_stats_alert: _dht_work,
    lt.alerts_dropped_alert: lambda _: AlertsLost(),
    # These torrents have left the session: only the alert itself still names them.
    lt.torrent_removed_alert: lambda alert: Removed(info_hash=key_of(alert.info_hashes)),
    lt.torrent_deleted_alert: lambda alert: Deleted(info_hash=key_of(alert.info_hashes), error=None),
    lt.torrent_delete_failed_alert: lambda alert: Deleted(info_hash=key_of(alert.info_hashes), error=_text(alert)),
}
_OF_TORRENT: dict[type[Any], Callable[[Any, InfoHash], Event]] = {
    lt.save_resume_data_alert: _saved,
    lt.save_resume_data_failed_alert: _save_failed,
    lt.torrent_finished_alert: lambda _, key: Finished(info_hash=key),
    lt.storage_moved_alert: lambda _, key: Moved(info_hash=key, error=None),
    lt.storage_moved_failed_alert: lambda alert, key: Moved(info_hash=key, error=_text(alert)),
    lt.file_error_alert: _file_failed,
    lt.torrent_error_alert: lambda alert, key: Failed(info_hash=key, text=_text(alert), lost=False),
    lt.url_seed_alert: _mirror_failed,
}
