"""Holes are punched inside the data root only, into regular files that no symlink leads to; the file keeps its size.

fallocate(2) with KEEP_SIZE | PUNCH_HOLE through ctypes: Python offers no call for it. Only whole file-system blocks
come back; the rest of a run is zeroed.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from smartnode.errors import DiskError

FALLOC_FL_KEEP_SIZE = 0x01
FALLOC_FL_PUNCH_HOLE = 0x02
_OFFSET_MAX = (1 << 63) - 1
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})
_CURE = "put storage.path on a file system with sparse files and hole punching (ext4, XFS, Btrfs, tmpfs)"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.fallocate.restype = ctypes.c_int


def punch(root: Path, path: Path, runs: Sequence[tuple[int, int]]) -> None:
    """Free the (offset, length) byte *runs* of *path*, adjacent ones at once; DiskError when it is not ours to
    touch.
    """
    descriptor = _open_inside(root, path)
    try:
        for offset, length in _merged(runs):
            _free(descriptor, offset, length, path)
        os.fdatasync(descriptor)
    except OSError as error:
        message = f"{path} cannot be flushed ({error.strerror})"
        raise DiskError(message, cure="check the disk") from error
    finally:
        os.close(descriptor)


def _merged(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(runs):
        if offset < 0 or length <= 0 or offset + length > _OFFSET_MAX:
            message = f"not a byte run: {offset}, {length}"
            raise DiskError(message)
        if merged and offset <= sum(merged[-1]):
            start = merged[-1][0]
            merged[-1] = (start, max(sum(merged[-1]), offset + length) - start)
        else:
            merged.append((offset, length))
    return merged


def _open_inside(root: Path, path: Path) -> int:
    """Open *path* for writing; what was opened is checked by its real place, so a swapped folder cannot lead
    outside.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        message = f"{path} cannot be opened ({error.strerror})"
        raise DiskError(message, cure="check the permissions of storage.path") from error
    try:
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        ours = stat.S_ISREG(os.fstat(descriptor).st_mode) and real.is_relative_to(root.resolve())
    except OSError as error:
        os.close(descriptor)
        message = f"where {path} really lies cannot be seen ({error.strerror})"
        raise DiskError(message, cure="mount /proc") from error
    if not ours:
        os.close(descriptor)
        message = f"{path} is not a regular file inside {root}"
        raise DiskError(message, cure="remove links from storage.path")
    return descriptor


def _free(descriptor: int, offset: int, length: int, path: Path) -> None:
    while _libc.fallocate(descriptor, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length) != 0:
        number = ctypes.get_errno()
        if number == errno.EINTR:
            continue
        message = f"no hole can be punched in {path} ({os.strerror(number)})"
        raise DiskError(message, cure=_CURE if number in _UNSUPPORTED else "check the disk")
