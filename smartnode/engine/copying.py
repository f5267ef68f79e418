"""An alert never leaves the function that popped it: what we need of it is copied into a frozen event at once.

libtorrent's alerts are pointers that die with the next pop_alerts.
"""

import errno
from collections.abc import Callable
from typing import Any

import libtorrent as lt
import numpy as np

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.events import (
    AlertsLost,
    Closed,
    Closing,
    Deleted,
    DhtSize,
    DhtWork,
    Event,
    Failed,
    Finished,
    GivenUp,
    ListenFailed,
    Listening,
    Moved,
    PeersFound,
    Progress,
    Removed,
    Saved,
    SaveFailed,
    States,
    TrackerAnswered,
    TrackerAsked,
    TrackerFailed,
)

_TEXT = 300
_FILE_TOO_SHORT = "file too short"
_NOT_MODIFIED = "not modified"
_GET_PEERS = "get_peers"
# libtorrent's own error codes: its binding names none of them.
_OURS = "libtorrent"
_REDIRECTING = 86
_PEER_BANNED = 91
_REFUSED_BY_UDP = 173  # the tracker's own words are lost
_TIMED_OUT = frozenset({36, 50, 51, 52})
_OPENING = frozenset({lt.operation_t.connect, lt.operation_t.ssl_handshake, lt.operation_t.hostname_lookup})
_MOVING = frozenset({lt.operation_t.sock_read, lt.operation_t.sock_write})


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


def _listening(alert: Any) -> Event:
    return Listening(
        address=Address(host=str(alert.address), port=int(alert.port)),
        tcp=alert.socket_type == lt.socket_type_t.tcp,
    )


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


def _given_up(alert: Any, info_hash: InfoHash) -> Event:
    banned = alert.error.value() == _PEER_BANNED and _is_ours(alert.error)
    # For an HTTP error the error code says "Success" and the message has the status.
    failed = alert.error.message() if alert.error.value() else "it answers with an error"
    text = "it sent a wrong byte" if banned else _said(alert.error_message) or failed
    return GivenUp(info_hash=info_hash, url=_said(alert.server_url), text=_line(text), banned=banned)


def _closed(alert: Any, info_hash: InfoHash) -> Event | None:
    how = _how(alert)
    if how is None:
        return None
    host, port = alert.endpoint
    return Closed(
        info_hash=info_hash, address=Address(host=host, port=port), how=how, text=_line(alert.error.message())
    )


def _how(alert: Any) -> Closing | None:
    """Return how a connection ended, None when it was we who had no more use for it."""
    ours, value = _is_ours(alert.error), alert.error.value()
    if ours and value == _REDIRECTING:
        return Closing.REDIRECTED
    if alert.op in _OPENING:
        return Closing.REFUSED
    if isinstance(alert, lt.peer_error_alert):
        return Closing.NONSENSE
    if alert.op in _MOVING or (ours and value in _TIMED_OUT):
        return Closing.CUT
    return None


def _tracker_answered(alert: Any, info_hash: InfoHash) -> Event:
    return TrackerAnswered(info_hash=info_hash, url=alert.tracker_url())


def _tracker_failed(alert: Any, info_hash: InfoHash) -> Event:
    said = _said(alert.failure_reason)
    return TrackerFailed(
        info_hash=info_hash,
        url=alert.tracker_url(),
        text=_line(said or alert.error.message()),
        refused=bool(said) or (_is_ours(alert.error) and alert.error.value() == _REFUSED_BY_UDP),
    )


def _is_ours(error: Any) -> bool:
    return bool(error.category().name() == _OURS)


def _said(words: Callable[[], str]) -> str:
    """Return a stranger's words, nothing when they are not UTF-8: the binding decodes them and raises."""
    try:
        return words()
    except UnicodeDecodeError:
        return ""


def _line(text: str) -> str:
    """Return a stranger's words as one short line."""
    return "".join(c if c.isprintable() else " " for c in text[:_TEXT]).strip()


def _text(alert: Any) -> str:
    return (_said(alert.message) or str(alert.what()))[:_TEXT]


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
_OF_TORRENT: dict[type[Any], Callable[[Any, InfoHash], Event | None]] = {
    lt.save_resume_data_alert: _saved,
    lt.save_resume_data_failed_alert: _save_failed,
    lt.torrent_finished_alert: lambda _, key: Finished(info_hash=key),
    lt.storage_moved_alert: lambda _, key: Moved(info_hash=key, error=None),
    lt.storage_moved_failed_alert: lambda alert, key: Moved(info_hash=key, error=_text(alert)),
    lt.file_error_alert: _file_failed,
    lt.torrent_error_alert: lambda alert, key: Failed(info_hash=key, text=_text(alert), lost=False),
    lt.url_seed_alert: _given_up,
    lt.peer_disconnected_alert: _closed,
    lt.peer_error_alert: _closed,
    lt.tracker_announce_alert: lambda alert, key: TrackerAsked(info_hash=key, url=alert.tracker_url()),
    lt.tracker_reply_alert: _tracker_answered,
    lt.tracker_error_alert: _tracker_failed,
}
