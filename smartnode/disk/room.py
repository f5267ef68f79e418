"""The disk as the node may use it: prepared once, measured often, never touched outside the data root.

Preparing proves what later steps rely on: the folders are writable, files are sparse, holes return their blocks, no
second node shares the state. Measuring walks; a missing or foreign root is a DiskError, never a loss.
"""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from smartnode.disk import punch as holes
from smartnode.disk.places import Places
from smartnode.disk.sentinel import SENTINEL, check, claim
from smartnode.disk.usage import measure
from smartnode.domain.pieces import Bytes
from smartnode.domain.quota import Room
from smartnode.errors import DiskError

LOCK = "lock"
_TRIAL_BYTES = 1 << 20
_NOT_PAYLOAD = frozenset({SENTINEL})


class Disk:
    """The data root, the state and the cache of one node."""

    def __init__(self, *, root: Path, state: Path, cache: Path, quota: Bytes, keep_free: Bytes) -> None:
        """Use these absolute folders; nothing is touched before prepare."""
        self.places = Places(root)
        self._root, self._state, self._cache = root, state, cache
        self._quota, self._keep_free = quota, keep_free
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folders ready and prove that they can do what is asked of them; DiskError names the cure.
        Blocking.
        """
        for folder, mode in ((self._state, 0o700), (self._cache, 0o700), (self._root, 0o755)):
            _make(folder, mode)
        self._lock = _lock(self._state / LOCK)
        try:
            claim(self._root, self._state)
            _prove(self._root)
        except DiskError:
            self.release()
            raise

    def release(self) -> None:
        """Let another process use the state."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def set_limits(self, *, quota: Bytes, keep_free: Bytes) -> None:
        """Change the limits; the next measurement carries them."""
        self._quota, self._keep_free = quota, keep_free

    async def measure(self, in_flight: Bytes) -> Room:
        """Measure the room; DiskError when the root is not the one that the state knows."""
        return await asyncio.to_thread(self._measure, in_flight)

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free the (offset, length) byte *runs* of a payload file. Blocking."""
        holes.punch(self._root, path, runs)

    def remove_empty(self, folder: Path) -> None:
        """Remove *folder* and its empty parents below the root; a folder that is not empty or not there stays so."""
        root = self._root.resolve()
        current = folder
        while current.resolve() != root and current.resolve().is_relative_to(root):
            try:
                current.rmdir()
            except OSError:
                return
            current = current.parent

    def _measure(self, in_flight: Bytes) -> Room:
        check(self._root, self._state)
        usage = measure((self._root, self._state, self._cache), payload_root=self._root, not_payload=_NOT_PAYLOAD)
        return Room(
            quota=self._quota,
            allocated=usage.allocated,
            overhead=Bytes(usage.allocated - usage.payload),
            in_flight=in_flight,
            disk_free=_free(self._root),
            keep_free=self._keep_free,
        )


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made ({error.strerror})"
        raise DiskError(message, cure="choose a folder that this user may write") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        message = f"{folder} is not writable"
        raise DiskError(message, cure="give it to the user that runs the node")


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        message = f"another node (pid {owner or 'unknown'}) uses {path.parent}"
        raise DiskError(message, cure="stop it, or give this one folders of its own") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _prove(root: Path) -> None:
    """Write a file, punch a hole into it, and see that the blocks come back and sparse files stay small."""
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".trial-") as trial:
            trial.write(b"\1" * _TRIAL_BYTES)
            trial.flush()
            os.fsync(trial.fileno())
            holes.punch(root, Path(trial.name), [(0, _TRIAL_BYTES)])
            os.truncate(trial.name, 64 * _TRIAL_BYTES)
            if Path(trial.name).stat().st_blocks * 512 > _TRIAL_BYTES // 2:
                message = f"{root} does not give punched blocks back"
                raise DiskError(message, cure="put storage.path on ext4, XFS, Btrfs or tmpfs")
    except OSError as error:
        message = f"{root} cannot be written ({error.strerror})"
        raise DiskError(message, cure="free some room, or choose another storage.path") from error


def _free(root: Path) -> Bytes:
    """What the file system gives to this user; of a root that does not exist yet, its nearest parent's."""
    folder = root
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError as error:
        message = f"{folder} cannot be measured ({error.strerror})"
        raise DiskError(message, cure="check storage.path") from error
    return Bytes(found.f_bavail * found.f_frsize)
