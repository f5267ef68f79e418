"""Reads .torrent files."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentFile:
    """One file of a torrent."""

    path: PurePosixPath
    offset: Bytes
    size: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Metainfo:
    """A checked .torrent."""

    info_hash: InfoHash
    info_hash_v1: str | None
    info_hash_v2: str | None
    name: str
    layout: Layout
    files: tuple[TorrentFile, ...]
    trackers: tuple[str, ...]
    web_seeds: tuple[str, ...]
    raw: bytes
