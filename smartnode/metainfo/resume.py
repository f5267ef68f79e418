"""What a node holds can be read without a session: a resume file names its item and is libtorrent's own resume data.

The file is libtorrent's bencoded resume dictionary (info dictionary included) with one key more, ``smartnode``:
{version, collection, id}. libtorrent ignores that key, and we refuse a file without it. *have* are pieces whose data
was on the disk before the file was written.
"""

from dataclasses import dataclass
from typing import Any

import libtorrent as lt
import numpy as np

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bitfield, Layout
from smartnode.errors import MetainfoError
from smartnode.metainfo.read import LIMITS, MAX_TORRENT_BYTES, Metainfo, checked

RESUME_VERSION = 1
RESUME_SUFFIX = ".resume"
DEFAULT_PRIORITY = 4
MAX_RESUME_BYTES = MAX_TORRENT_BYTES + (64 << 20)
_OURS = b"smartnode"
_CURE = "delete the resume file; what it held is fetched again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """One torrent as the last save left it. *save_path*: the folder at that time, a hint only. *unfinished*: pieces
    of which some blocks were on the disk. *uploaded*, *downloaded*: payload bytes since the torrent was first added.
    """

    info_hash: InfoHash
    key: ItemKey
    layout: Layout
    have: Bitfield
    wanted: Bitfield
    unfinished: Bitfield
    uploaded: int
    downloaded: int
    save_path: str
    metainfo: Metainfo


def read_resume(raw: bytes) -> Resumed:
    """Return what the resume file *raw* says; MetainfoError unless it is whole, ours and within the limits."""
    key, params = open_resume(raw)
    metainfo = checked(params, _torrent_of(params))
    count = metainfo.layout.num_pieces
    return Resumed(
        info_hash=metainfo.info_hash,
        key=key,
        layout=metainfo.layout,
        have=have_of(params, count),
        wanted=_set_of(params.piece_priorities, count, missing=DEFAULT_PRIORITY),
        unfinished=Bitfield.from_indices((piece for piece in params.unfinished_pieces if 0 <= piece < count), count),
        uploaded=params.total_uploaded,
        downloaded=params.total_downloaded,
        save_path=params.save_path,
        metainfo=metainfo,
    )


def open_resume(raw: bytes) -> tuple[ItemKey, lt.add_torrent_params]:
    """Return the item and libtorrent's parameters, ready to be edited and added; MetainfoError as read_resume."""
    if len(raw) > MAX_RESUME_BYTES:
        message = f"a resume file of {len(raw)} bytes is over the limit of {MAX_RESUME_BYTES}"
        raise MetainfoError(message, cure=_CURE)
    try:
        decoded: Any = lt.bdecode(raw)
        params = lt.read_resume_data(raw, LIMITS)
        ours = decoded[_OURS]
        if ours[b"version"] != RESUME_VERSION:
            message = f"the resume file is of version {ours[b'version']}, not {RESUME_VERSION}"
            raise MetainfoError(message, cure="use the smartnode that wrote it, or a newer one")
        key = ItemKey(collection=ours[b"collection"].decode(), id=ours[b"id"].decode())
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        message = f"not a usable resume file: {error!r}"
        raise MetainfoError(message, cure=_CURE) from error
    return key, params


def write_resume(params: lt.add_torrent_params, key: ItemKey) -> bytes:
    """Return the resume file of *params* under *key*; MetainfoError when *params* lacks the info dictionary."""
    if params.ti is None:
        message = "resume data without an info dictionary cannot be read again"
        raise MetainfoError(message)
    entry: Any = lt.write_resume_data(params)
    return seal(bytes(lt.bencode(entry)), key)


def seal(raw: bytes, key: ItemKey) -> bytes:
    """Return libtorrent's bencoded resume data *raw* as a resume file of *key*."""
    entry: Any = lt.bdecode(raw)
    entry[_OURS] = {
        b"version": RESUME_VERSION,
        b"collection": key.collection.encode(),
        b"id": key.id.encode(),
    }
    return bytes(lt.bencode(entry))


def have_of(params: lt.add_torrent_params, count: int) -> Bitfield:
    """Return the pieces that *params* call held, of a torrent of *count* pieces."""
    return _set_of(params.have_pieces, count, missing=0)


def _torrent_of(params: lt.add_torrent_params) -> bytes:
    if params.ti is None:
        return b""
    try:
        # write_torrent_file_buf fails on its own bytes in 2.1.1: it makes a str of them.
        entry: Any = lt.write_torrent_file(params)
        return bytes(lt.bencode(entry))
    except (RuntimeError, ValueError) as error:
        message = f"the resume file's metainfo cannot be written: {error}"
        raise MetainfoError(message, cure=_CURE) from error


def _set_of(values: list[bool] | list[int], count: int, *, missing: int) -> Bitfield:
    """Pieces whose value is not 0; libtorrent leaves *missing* values away at the end of the list, and pads bits with
    zeros to a whole byte.
    """
    if len(values) >= count + 8 or any(values[count:]):
        message = f"resume data of {len(values)} pieces is not of a torrent of {count}"
        raise MetainfoError(message, cure=_CURE)
    padded = np.full(count, missing != 0, dtype=np.bool_)
    padded[: len(values)] = np.asarray(values[:count], dtype=np.uint8) != 0
    return Bitfield.from_array(padded)
