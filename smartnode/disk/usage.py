"""What the node really occupies: allocated blocks, not file sizes; each inode once, symlinks not followed, one file
system per folder.

A sparse file counts what it has, a hard link counts once. Files that vanish while they are counted count nothing, nor
does what lies in a folder closed to this user (``lost+found``): the node did not write it. A disk that does not answer
is an error, because bytes that are not counted would be fetched again.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smartnode.domain.pieces import Bytes
from smartnode.errors import DiskError

BLOCK = 512  # st_blocks is in units of 512 bytes (POSIX leaves it open, Linux fixes it)

_Inode = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Allocated bytes: of everything, and of *payload*, the regular files below the payload root."""

    allocated: Bytes
    payload: Bytes


def measure(folders: Iterable[Path], *, payload_root: Path, not_payload: frozenset[str]) -> Usage:
    """Add up all *folders*, which may lie in each other; DiskError when a part of them cannot be read.

    Regular files below *payload_root* are payload unless their name is in *not_payload*. A folder that does not exist
    counts nothing.
    """
    tops = _tops(folders)
    linked: set[_Inode] = set()
    allocated = payload = 0
    for inode, (folder, top) in tops.items():
        allocated += top.st_blocks * BLOCK
        for name, status in _walk(folder, inode[0], tops.keys()):
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in linked:
                    continue
                linked.add((status.st_dev, status.st_ino))
            blocks = status.st_blocks * BLOCK
            allocated += blocks
            if folder == payload_root and stat.S_ISREG(status.st_mode) and name not in not_payload:
                payload += blocks
    return Usage(allocated=Bytes(allocated), payload=Bytes(payload))


def _tops(folders: Iterable[Path]) -> dict[_Inode, tuple[Path, os.stat_result]]:
    """The folders that exist, each once; a folder may be a symlink, what lies in it is never followed."""
    tops: dict[_Inode, tuple[Path, os.stat_result]] = {}
    for folder in folders:
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(folder, error) from error
        tops.setdefault((status.st_dev, status.st_ino), (folder, status))
    return tops


def _walk(folder: Path, device: int, tops: Iterable[_Inode]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what lies below *folder* on its own file system, without the folders of *tops*, which count by
    themselves.
    """
    apart = frozenset(tops)
    pending = [str(folder)]
    while pending:
        for name, path, status in _entries(pending.pop()):
            if status.st_dev != device or (status.st_dev, status.st_ino) in apart:
                continue
            yield name, status
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)


def _entries(folder: str) -> Iterator[tuple[str, str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield entry.name, entry.path, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path | str, error: OSError) -> DiskError:
    return DiskError(f"{folder} cannot be measured ({error.strerror})", cure="check the disk and storage.path")
