"""A file on its way in belongs to this process alone, and its digest is of all its bytes, in their order.

What was not finished is gone after ``close``; a ``Partial`` (see there) keeps its beginning. Bytes are written in large
portions: a server that sends one at a time costs no write each. All but ``take`` blocks; call it in a thread.
"""

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import Self

from smartnode.catalogue.answer import Progress

PORTION_BYTES = 256 << 10
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Intake:
    """One file that arrives at *file*; it is there, whole and durable, from ``finish`` to ``close``."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.length = 0
        self._way = file
        self._out: int | None = None
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        # A cancelled caller goes on to close while its thread still writes.
        self._one_at_a_time = threading.RLock()

    def __enter__(self) -> Self:
        """Return itself, to be closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def progress(self) -> Progress | None:
        """What is there of an earlier try and may be continued; None: nothing."""
        return None

    def forget(self) -> None:
        """Keep nothing of it: what came is worth nothing."""

    def restart(self, *, etag: str | None = None, total: int | None = None) -> None:
        """Begin with an empty file; *etag* (strong) and *total* are of the file that comes."""
        del etag, total
        with self._one_at_a_time:
            if self._out is None:
                self._out = os.open(self._way, _OPEN, 0o644)
            os.ftruncate(self._out, 0)
            self.length = 0
            self._digest = hashlib.sha256()
            self._waiting.clear()

    def take(self, chunk: bytes) -> bool:
        """Accept the next bytes without blocking; whether it is time to ``write``."""
        self.length += len(chunk)
        self._waiting += chunk
        return len(self._waiting) >= PORTION_BYTES

    def write(self) -> None:
        """Write what was taken."""
        with self._one_at_a_time:
            assert self._out is not None
            at = self.length - len(self._waiting)
            rest = memoryview(bytes(self._waiting))
            while rest:
                written = os.pwrite(self._out, rest, at)
                self._digest.update(rest[:written])
                rest, at = rest[written:], at + written
                del self._waiting[:written]

    def finish(self) -> str:
        """Make the whole file durable and return its SHA-256 in hex."""
        with self._one_at_a_time:
            assert self._out is not None
            self.write()
            os.fsync(self._out)
            self._arrived()
            os.close(self._out)
            self._out = None
            return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of it; what stands at *file* still is removed, now or by a later sweep."""
        with self._one_at_a_time, contextlib.suppress(OSError):
            try:
                if self._out is not None:
                    self._leave()
            finally:
                if self._out is not None:
                    os.close(self._out)
                    self._out = None
                self.file.unlink(missing_ok=True)

    def _arrived(self) -> None:
        """Put the whole file, durable but still open, to its place."""

    def _leave(self) -> None:
        """Part with an unfinished file, still open."""
