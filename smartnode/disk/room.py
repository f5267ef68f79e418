"""The disk as the node may use it: prepared once, measured often, never touched outside the data root.

Preparing proves what later steps rely on: the folders are writable, files are sparse, holes return their blocks, no
second node shares the state. Measuring walks; a missing or foreign root is a DiskError, never a loss.
"""

import asyncio
import errno
import fcntl
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from smartnode.disk import punch as holes
from smartnode.disk.places import Places
from smartnode.disk.sentinel import SENTINEL, check, claim, knows_root
from smartnode.disk.usage import Usage, measure
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.domain.quota import Room
from smartnode.errors import DiskError

LOCK = "lock"
ROOT_LOCK = ".smartnode-lock"
_TRIAL_PREFIX = ".smartnode-trial-"
_TRIAL_BYTES = 1 << 20
_PID_WIDTH = 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_PAYLOAD = frozenset({SENTINEL, ROOT_LOCK})


class Disk:
    """The data root, the state and the cache of one node."""

    def __init__(self, *, root: Path, state: Path, cache: Path, quota: Bytes, keep_free: Bytes) -> None:
        """Use these absolute folders; nothing is touched before prepare."""
        self.places = Places(root)
        self._root, self._state, self._cache = root, state, cache
        self._quota, self._keep_free = quota, keep_free
        self._locks: list[int] = []
        self._usage: Usage | None = None

    def prepare(self) -> None:
        """Make the folders ready and prove that they can do what is asked of them; DiskError names the cure.

        A root that the state knows is never made anew; a new one is taken only once it was proved. Blocking.
        """
        for folder in (self._state, self._cache):
            _make(folder, 0o700)
        try:
            self._locks.append(_lock(self._state / LOCK))
            known = knows_root(self._state)
            if known:
                check(self._root, self._state)
            else:
                _make(self._root, 0o755)
            _require_writable(self._root)
            self._locks.append(_lock(self._root / ROOT_LOCK))
            _prove(self._root, known=known)
            claim(self._root, self._state)
        except DiskError:
            self.release()
            raise

    def release(self) -> None:
        """Let another process use the state and the data root."""
        while self._locks:
            os.close(self._locks.pop())

    def set_limits(self, *, quota: Bytes, keep_free: Bytes) -> None:
        """Change the limits; the next measurement carries them."""
        self._quota, self._keep_free = quota, keep_free

    async def measure(self, in_flight: Bytes) -> Room:
        """Measure the room; DiskError when the root is not the one that the state knows."""
        return await asyncio.to_thread(self._measure, in_flight)

    async def glance(self, in_flight: Bytes) -> Room:
        """Return the free room of now with the blocks of the last measurement: a look that never walks the folders
        twice. Measures when nothing was measured yet; DiskError as measure.
        """
        if self._usage is None:
            return await self.measure(in_flight)
        return await asyncio.to_thread(self._room, self._usage, in_flight)

    def require_root(self) -> None:
        """DiskError unless the data root is there and is ours. Blocking."""
        self._check()

    async def holds_data(self, item_key: ItemKey, info_hash: InfoHash) -> bool:
        """Say whether files of the item lie in one of its places."""
        places = (self.places.whole(item_key, info_hash), self.places.partial(item_key, info_hash))
        return await asyncio.to_thread(lambda: any(place.is_dir() for place in places))

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free the (offset, length) byte *runs* of a payload file. Blocking."""
        holes.punch(self._root, path, runs)

    def remove_empty(self, folder: Path) -> None:
        """Remove *folder* and its empty parents below the root; a folder that is not empty or not there stays so."""
        root = os.path.realpath(self._root)
        current = folder
        while (real := Path(os.path.realpath(current))) != Path(root) and real.is_relative_to(root):
            try:
                current.rmdir()
            except OSError:
                return
            current = current.parent

    def _check(self) -> None:
        if self._locks and not knows_root(self._state):
            message = f"{self._state} lost its mark of the data root while the node ran"
            raise DiskError(message, cure="restart the node; if the folder was deleted, it begins with a new state")
        check(self._root, self._state)

    def _measure(self, in_flight: Bytes) -> Room:
        self._check()  # before the walk: an absent root must not read as an empty one
        self._usage = measure((self._root, self._state, self._cache), payload_root=self._root, not_payload=_NOT_PAYLOAD)
        return self._room(self._usage, in_flight)

    def _room(self, usage: Usage, in_flight: Bytes) -> Room:
        """Join blocks and free room; DiskError for a floor that no eviction could ever restore: surely a slip."""
        self._check()
        return Room(
            quota=self._quota,
            allocated=usage.allocated,
            overhead=Bytes(usage.allocated - usage.payload),
            in_flight=in_flight,
            disk_free=_free(self._root, self._keep_free),
            keep_free=self._keep_free,
        )


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made ({error.strerror})"
        raise DiskError(message, cure="choose a folder that this user may write") from error
    _require_writable(folder)


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        message = f"{folder} is not writable"
        raise DiskError(message, cure="give it to the user that runs the node, and mount it writable")


def _lock(path: Path) -> int:
    """Hold *path* until its descriptor is closed, which the kernel does for a process that dies."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"{path} cannot be opened ({error.strerror})"
        raise DiskError(message, cure="give it to the user that runs the node") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, _PID_WIDTH, 0).decode(errors="replace").strip()
        os.close(descriptor)
        message = f"another node (pid {owner or 'unknown'}) uses {path.parent}"
        raise DiskError(message, cure="stop it, or give this one folders of its own") from error
    except OSError as error:
        os.close(descriptor)
        message = f"{path} cannot be locked ({error.strerror})"
        raise DiskError(message, cure="choose a file system that knows locks (flock)") from error
    with suppress(OSError):  # a full disk: the lock holds without our number in it
        os.pwrite(descriptor, f"{os.getpid():<{_PID_WIDTH}}\n".encode(), 0)
    return descriptor


def _prove(root: Path, *, known: bool) -> None:
    """Write a file, punch a hole into it, and see that the blocks come back and sparse files stay small.

    A *known* root was proved before: on a full disk it is taken as it is, so that the node can let go of data.
    """
    try:
        for left in root.glob(f"{_TRIAL_PREFIX}*"):  # of a start that was killed
            left.unlink()
        with tempfile.NamedTemporaryFile(dir=root, prefix=_TRIAL_PREFIX) as trial:
            trial.write(b"\1" * _TRIAL_BYTES)
            trial.flush()
            os.fsync(trial.fileno())
            holes.punch(root, Path(trial.name), [(0, _TRIAL_BYTES)])
            os.truncate(trial.name, 64 * _TRIAL_BYTES)
            if Path(trial.name).stat().st_blocks * 512 > _TRIAL_BYTES // 2:
                message = f"{root} does not give punched blocks back"
                raise DiskError(message, cure="put storage.path on ext4, XFS, Btrfs or tmpfs")
    except OSError as error:
        if known and error.errno in _FULL:
            return
        message = f"{root} cannot be written ({error.strerror})"
        raise DiskError(message, cure="free some room, or choose another storage.path") from error


def _free(root: Path, keep_free: Bytes = Bytes(0)) -> Bytes:
    """What the file system gives to this user; of a root that does not exist yet, its nearest parent's."""
    folder = root
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found = os.statvfs(folder)
    except OSError as error:
        message = f"{folder} cannot be measured ({error.strerror})"
        raise DiskError(message, cure="check storage.path") from error
    total = found.f_blocks * found.f_frsize
    if keep_free >= total:
        message = f"storage.keep_free is {keep_free} bytes, the whole file system has {total}"
        raise DiskError(message, cure="lower storage.keep_free")
    return Bytes(found.f_bavail * found.f_frsize)
