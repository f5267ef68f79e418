"""The engine's own book: one record per torrent, re-keyed by info-hash because handles die with every removal.

Records change on the loop only; what leaves the room is a frozen Holding. Every operation that waits for the session
holds the record's lock, so at most one is under way per torrent.
"""

import asyncio
from pathlib import Path

import libtorrent as lt

from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.engine.events import Progress
from smartnode.errors import EngineError
from smartnode.metainfo.read import Metainfo

FORCE_EVERY_S, FORCE_EVERY_MAX_S = 60.0, 600.0


class Told:
    """What one tracker was told of one torrent. *on*: libtorrent announces to it; *failed*: times in a row; times are
    the loop's.
    """

    __slots__ = ("asked_at", "failed", "forced_at", "ok_at", "on", "since")

    def __init__(self, now: float) -> None:
        """Nothing was told yet."""
        self.since = now
        self.on = False
        self.ok_at: float | None = None
        self.failed = 0
        self.asked_at: float | None = None
        self.forced_at: float | None = None

    @property
    def heard_at(self) -> float:
        """When the tracker last heard of it; of one that was never announced, since when it should be."""
        return self.since if self.ok_at is None else self.ok_at

    @property
    def rests_until(self) -> float:
        """When it may be announced by us again, should libtorrent not do so by itself: ever later after failures."""
        if not self.on or self.forced_at is None:
            return 0.0
        return self.forced_at + min(FORCE_EVERY_S * max(self.failed, 1), FORCE_EVERY_MAX_S)


class Torrent:
    """One torrent. *saved_have*, *saved_wanted*: what the resume file says; *folder*: where its files lie now.

    *trackers*: all of them, in their order; *told*: by tracker, see announcing. *web_seeds*: those that libtorrent may
    use now. libtorrent's resume data names neither.
    """

    __slots__ = (
        "downloaded",
        "failed_at",
        "failure",
        "folder",
        "handle",
        "have",
        "key",
        "lock",
        "metainfo",
        "peers",
        "saved_have",
        "saved_wanted",
        "stuck",
        "told",
        "trackers",
        "unmovable",
        "uploaded",
        "wanted",
        "web_seeds",
        "whole",
    )

    def __init__(self, *, key: ItemKey, metainfo: Metainfo, folder: Path, whole: bool) -> None:
        """Record a torrent whose files lie in *folder*, the place of whole items when *whole*."""
        nothing = Bitfield.empty(metainfo.layout.num_pieces)
        self.key = key
        self.metainfo = metainfo
        self.folder = folder
        self.whole = whole
        self.have = self.wanted = self.saved_have = self.saved_wanted = nothing
        self.trackers: tuple[str, ...] = ()
        self.told: dict[str, Told] = {}
        self.web_seeds: tuple[str, ...] = ()
        self.handle: lt.torrent_handle | None = None
        self.lock = asyncio.Lock()
        self.peers = self.uploaded = self.downloaded = 0
        self.failure: str | None = None
        self.failed_at = 0.0
        self.stuck = self.unmovable = False

    @property
    def info_hash(self) -> InfoHash:
        """The key of the torrent."""
        return self.metainfo.info_hash

    @property
    def complete(self) -> bool:
        """Every piece is held."""
        return self.have.count() == self.have.length

    @property
    def unsaved(self) -> bool:
        """The resume file does not say what is held and wanted now."""
        return self.have != self.saved_have or self.wanted != self.saved_wanted

    def take(self, progress: Progress) -> None:
        """Take over what the session said; pieces are not known while it checks files."""
        if not progress.checking and progress.have.length == self.have.length:
            self.have = progress.have
        self.peers = progress.peers
        self.uploaded, self.downloaded = progress.uploaded, progress.downloaded
        self.stuck = progress.stuck

    def holding(self) -> Holding:
        """Return the record as a value."""
        return Holding(
            info_hash=self.info_hash,
            layout=self.metainfo.layout,
            have=self.have,
            wanted=self.wanted,
            peers=self.peers,
            uploaded=Bytes(self.uploaded),
            downloaded=Bytes(self.downloaded),
            failure=self.failure,
        )


def require_fit(wanted: Bitfield, *, count: int) -> None:
    """EngineError unless *wanted* is of a torrent of *count* pieces."""
    if wanted.length != count:
        message = f"{wanted.length} wanted pieces are not of a torrent of {count}"
        raise EngineError(message, cure="read the .torrent file again")
