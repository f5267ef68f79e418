"""A .torrent from anywhere becomes a Metainfo within limits whose paths stay inside the item's folder, or a
MetainfoError.

libtorrent decodes and sanitises names ("../" becomes "_"); what it made of them is checked again here, because those
are the names that will be written, moved and punched. Symlinks and torrents whose files would share one path
(libtorrent would rename them behind our back) are refused. Pad files (BEP 47) are not files: their bytes count in the
layout only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes, Layout
from smartnode.errors import MetainfoError

MAX_TORRENT_BYTES = 64 << 20
MAX_PIECES = 1 << 21
MAX_FILES = 200_000
MAX_ADDRESSES = 64
MAX_ADDRESS_CHARACTERS = 2048
LIMITS: Any = {
    "max_buffer_size": MAX_TORRENT_BYTES,
    "max_pieces": MAX_PIECES,
    "max_decode_depth": 100,
    "max_decode_tokens": 3_000_000,
}
_MAX_NAME_BYTES = 255
_CURE = "ask the publisher for a corrected .torrent file"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentFile:
    """One file of a torrent: *path* relative to the item's folder, *offset* of its first byte in the torrent."""

    path: PurePosixPath
    offset: Bytes
    size: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Metainfo:
    """A checked .torrent. *files* in torrent order without pad files; *trackers* in tier order (http, https, udp);
    *web_seeds* are http(s) URLs (BEP 19); *private* is BEP 27; *raw* is the .torrent file itself.
    """

    info_hash: InfoHash
    info_hash_v1: str | None
    info_hash_v2: str | None
    name: str
    layout: Layout
    files: tuple[TorrentFile, ...]
    trackers: tuple[str, ...]
    web_seeds: tuple[str, ...]
    raw: bytes
    private: bool = False

    @property
    def single_file(self) -> bool:
        """The torrent is one file, not a folder: a web seed's address is then that of the file (BEP 19)."""
        return len(self.files) == 1 and len(self.files[0].path.parts) == 1


def read_metainfo(raw: bytes) -> Metainfo:
    """Return the checked .torrent file *raw*; MetainfoError says what is wrong with it."""
    if len(raw) > MAX_TORRENT_BYTES:
        message = f"a .torrent of {len(raw)} bytes is over the limit of {MAX_TORRENT_BYTES}"
        raise MetainfoError(message, cure=_CURE)
    try:
        params = lt.load_torrent_buffer(raw, LIMITS)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        message = f"not a usable .torrent: {error}"
        raise MetainfoError(message, cure=_CURE) from error
    return checked(params, raw)


def checked(params: lt.add_torrent_params, raw: bytes) -> Metainfo:
    """Return the Metainfo of what libtorrent decoded from *raw*; MetainfoError where our own limits refuse it."""
    torrent = params.ti
    if torrent is None:
        message = "the metainfo holds no info dictionary"
        raise MetainfoError(message, cure=_CURE)
    v1 = str(params.info_hashes.v1) if params.info_hashes.has_v1() else None
    v2 = str(params.info_hashes.v2) if params.info_hashes.has_v2() else None
    key = v1 if v1 is not None else (v2 or "")[:40]
    layout = Layout(total_size=Bytes(torrent.total_size()), piece_length=Bytes(torrent.piece_length()))
    if layout.num_pieces != torrent.num_pieces():
        message = f"{torrent.num_pieces()} pieces do not cut {layout.total_size} bytes"
        raise MetainfoError(message, cure=_CURE)
    return Metainfo(
        info_hash=InfoHash(key),
        info_hash_v1=v1,
        info_hash_v2=v2,
        name=torrent.name(),
        layout=layout,
        files=_files(torrent.layout()),
        trackers=addresses(params.trackers, frozenset({"http", "https", "udp"})),
        web_seeds=addresses(params.url_seeds, frozenset({"http", "https"})),
        raw=raw,
        private=torrent.priv(),
    )


def addresses(urls: Iterable[str], schemes: frozenset[str]) -> tuple[str, ...]:
    """Return the first 64 usable *urls* in order, each once: an allowed scheme, a host, printable ASCII, bounded."""
    good = (url for url in urls if _usable(url, schemes))
    return tuple(islice(dict.fromkeys(good), MAX_ADDRESSES))


def _usable(url: str, schemes: frozenset[str]) -> bool:
    if len(url) > MAX_ADDRESS_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _files(layout: Any) -> tuple[TorrentFile, ...]:
    count = layout.num_files()
    if count > MAX_FILES:
        message = f"{count} files are over the limit of {MAX_FILES}"
        raise MetainfoError(message, cure=_CURE)
    files: list[TorrentFile] = []
    for index in range(count):
        flags = layout.file_flags(index)
        if flags & layout.flag_pad_file:
            continue
        if flags & layout.flag_symlink:
            message = f"file {index} is a symbolic link"
            raise MetainfoError(message, cure=_CURE)
        path = _inside(layout.file_path(index))
        size, offset = Bytes(layout.file_size(index)), Bytes(layout.file_offset(index))
        files.append(TorrentFile(path=path, offset=offset, size=size))
    _refuse_shared_paths(files)
    return tuple(files)


def _inside(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    for part in text.split("/"):
        hostile = part in {"", ".", ".."} or not part.isprintable() or len(part.encode()) > _MAX_NAME_BYTES
        if hostile:
            message = f"the path {text[:120]!r} leaves the item's folder or cannot be written"
            raise MetainfoError(message, cure=_CURE)
    return path


def _refuse_shared_paths(files: list[TorrentFile]) -> None:
    """Two files of one path (case folded, as libtorrent compares), or one that is also a folder, are refused."""
    if not files:
        message = "the torrent holds no file"
        raise MetainfoError(message, cure=_CURE)
    names = {str(file.path).casefold() for file in files}
    folders = {str(parent).casefold() for file in files for parent in file.path.parents}
    if len(names) != len(files) or names & folders:
        message = "two files of the torrent share one path"
        raise MetainfoError(message, cure=_CURE)
