"""What libtorrent is given and what the resume file says differ: the file names all trackers and no web seed, the
session gets the web seeds of the moment and no tracker.

Trackers come later, through the bucket of announcing; web seeds are named anew by whoever probed them.
"""

from typing import Any

import libtorrent as lt

from smartnode.engine.live import priorities
from smartnode.engine.torrents import Torrent
from smartnode.metainfo.resume import seal

_TRACKERS, _WEB_SEEDS, _HTTP_SEEDS = b"trackers", b"url-list", b"httpseeds"


def for_session(params: lt.add_torrent_params, torrent: Torrent) -> None:
    """Make *params* what is added to the session."""
    _fill(params, torrent)
    params.trackers, params.tracker_tiers = [], []
    params.url_seeds = list(torrent.web_seeds)


def for_file(params: lt.add_torrent_params, torrent: Torrent) -> None:
    """Make *params* what the resume file says."""
    _fill(params, torrent)
    params.trackers = list(torrent.trackers)
    params.tracker_tiers = list(range(len(torrent.trackers)))
    params.url_seeds = []


def sealed(raw: bytes, torrent: Torrent) -> bytes:
    """Return libtorrent's own resume data *raw* as the resume file of *torrent*."""
    entry: Any = lt.bdecode(raw)
    entry.pop(_HTTP_SEEDS, None)
    entry[_WEB_SEEDS] = []
    entry[_TRACKERS] = [[url.encode()] for url in torrent.trackers]
    return seal(bytes(lt.bencode(entry)), torrent.key)


def _fill(params: lt.add_torrent_params, torrent: Torrent) -> None:
    params.have_pieces = torrent.have.to_array().tolist()
    params.verified_pieces = []
    params.piece_priorities = priorities(torrent.wanted)
    params.file_priorities = []
    params.dht_nodes = []
    params.save_path = str(torrent.folder)
