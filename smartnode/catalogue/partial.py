"""The beginning of an interrupted download is worth having only when it is certain: on disk, with its digest, and of a
file that the server names with a strong ETag.

One partial per address, of one process at a time (a lock on the file itself), noted durably every 16 MiB; a note that
does not fit the bytes before it makes them worthless. What is older than a day, completed or hostile goes.
"""

import fcntl
import hashlib
import os
import time
from pathlib import Path
from typing import Any

from smartnode.catalogue.answer import Progress, strong
from smartnode.catalogue.durable import read_json, write_json
from smartnode.catalogue.intake import PORTION_BYTES, Intake

PARTIAL_VERSION = 1
CHECKPOINT_BYTES = 16 << 20
STALE_S = 24 * 3600.0
_NOTE_MAX_BYTES = 16 << 10
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SHA256_LENGTH = 64


class Partial(Intake):
    """An intake of which the beginning outlives a failure, and the process; ``claim`` makes them."""

    def __init__(self, way: Path, file: Path, *, url: str, descriptor: int) -> None:
        """Take over *descriptor*, the locked file at *way*; whole, it goes to *file*. *url* is fit to be stored."""
        super().__init__(file)
        self._way, self._note, self._url = way, way.with_suffix(".json"), url
        self._out = descriptor
        self._etag: str | None = None
        self._total: int | None = None
        self._certain = 0
        self._progress = self._resume()

    @property
    def progress(self) -> Progress | None:
        """What is there of an earlier try, proved by its digest."""
        return self._progress

    def forget(self) -> None:
        """Keep nothing of it."""
        self._etag = self._progress = None

    def restart(self, *, etag: str | None = None, total: int | None = None) -> None:
        """Begin with an empty file; without a strong *etag* nothing of it will be kept."""
        with self._one_at_a_time:
            self._note.unlink(missing_ok=True)
            super().restart()
            self._progress, self._certain = None, 0
            self._etag, self._total = strong(etag), total

    def write(self) -> None:
        """Write what was taken, and note now and then how much is certain."""
        try:
            super().write()
            if self._etag is not None and self.length - self._certain >= CHECKPOINT_BYTES:
                self._checkpoint()
        except OSError:
            self.forget()  # a full disk is not to be filled with a partial file
            raise

    def _resume(self) -> Progress | None:
        assert self._out is not None
        found = _progress(self._note, self._url)
        seen = os.fstat(self._out)
        if found is None or seen.st_size < found.length or seen.st_mtime < time.time() - STALE_S:
            return None
        if seen.st_size > found.length:  # cutting changes the time, and only progress may make it younger
            os.ftruncate(self._out, found.length)
        at = 0
        while chunk := os.pread(self._out, min(PORTION_BYTES, found.length - at), at):
            self._digest.update(chunk)
            at += len(chunk)
        if self._digest.hexdigest() != found.sha256:
            return None
        self.length = self._certain = found.length
        self._etag, self._total = found.etag, found.total
        return found

    def _checkpoint(self) -> None:
        assert self._out is not None
        os.fsync(self._out)
        value = {"url": self._url, "etag": self._etag, "total": self._total}
        value |= {"version": PARTIAL_VERSION, "length": self.length, "sha256": self._digest.hexdigest()}
        write_json(self._note, value)
        self._certain = self.length

    def _arrived(self) -> None:
        self._note.unlink(missing_ok=True)  # first: once the file is away another process may begin its own
        self._way.replace(self.file)

    def _leave(self) -> None:
        try:
            if self._etag is not None:
                self.write()
                if self.length > self._certain:
                    self._checkpoint()
        except OSError:
            self.forget()
        if self._etag is None or not self.length:
            _remove(self._way)


def claim(folder: Path, url: str, file: Path) -> Partial | None:
    """Return the partial of *url* in *folder* for this process alone; None while another one has it. OSError."""
    way = folder / f"partial-{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    descriptor = _locked(way, _OPEN)
    if descriptor is None:
        return None
    try:
        return Partial(way, file, url=url, descriptor=descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def sweep(folder: Path) -> None:
    """Remove the partials of *folder* that are older than a day and of no living process. OSError."""
    oldest = time.time() - STALE_S
    for way in folder.glob("partial-*.part"):
        try:
            if way.stat().st_mtime >= oldest or (descriptor := _locked(way, _OPEN & ~os.O_CREAT)) is None:
                continue
        except FileNotFoundError:
            continue
        try:
            _remove(way)
        finally:
            os.close(descriptor)


def _locked(way: Path, flags: int) -> int | None:
    """Return a descriptor of *way* that holds its lock; None when another one holds it, or just put it elsewhere."""
    descriptor = os.open(way, flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), way.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove(way: Path) -> None:
    way.with_suffix(".json").unlink(missing_ok=True)
    way.unlink(missing_ok=True)


def _progress(note: Path, url: str) -> Progress | None:
    raw: Any = read_json(note, version=PARTIAL_VERSION, max_bytes=_NOTE_MAX_BYTES)
    match raw:
        case {"url": str(of), "etag": str(etag), "length": int(length), "sha256": str(sha256), "total": total}:
            fits = of == url and strong(etag) and length > 0 and len(sha256) == _SHA256_LENGTH
            if fits and (total is None or (isinstance(total, int) and total >= length)):
                return Progress(etag=etag, length=length, sha256=sha256, total=total)
    return None
