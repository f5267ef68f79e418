"""What the node really occupies: allocated blocks, not file sizes; each inode once, symlinks not followed, one file
system.

A sparse file counts what it has, a hard link counts once. Files that vanish while they are counted count nothing.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smartnode.domain.pieces import Bytes

BLOCK = 512  # st_blocks is in units of 512 bytes (POSIX leaves it open, Linux fixes it)
DEPTH_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Allocated bytes: of everything, and of *payload*, the regular files below the payload root."""

    allocated: Bytes
    payload: Bytes


def measure(folders: Iterable[Path], *, payload_root: Path, not_payload: frozenset[str]) -> Usage:
    """Add up all *folders*; regular files below *payload_root* are payload unless their name is in *not_payload*."""
    seen: set[tuple[int, int]] = set()
    allocated = payload = 0
    for folder in folders:
        for path, status in _walk(folder):
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            blocks = status.st_blocks * BLOCK
            allocated += blocks
            inside = stat.S_ISREG(status.st_mode) and os.path.basename(path) not in not_payload  # noqa: PTH119 -- hot
            if inside and folder == payload_root:
                payload += blocks
    return Usage(allocated=Bytes(allocated), payload=Bytes(payload))


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        top = os.lstat(folder)
    except OSError:
        return
    yield str(folder), top
    pending = [(str(folder), 0)]
    while pending:
        current, depth = pending.pop()
        try:
            entries = os.scandir(current)
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                yield entry.path, status
                if stat.S_ISDIR(status.st_mode) and status.st_dev == top.st_dev and depth < DEPTH_MAX:
                    pending.append((entry.path, depth + 1))
