"""The last accepted catalogue file survives a crash at any moment: ``current.parquet`` is swapped in whole, and a note
beside it always names it.

Order of a swap: the note durably as ``next.json``, the file renamed, the note renamed. Whatever moment the power
fails, one of the two notes fits the file. A lock keeps two processes (``run`` and ``plan``) from mixing their swaps.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smartnode.catalogue.source import Incoming
from smartnode.errors import CatalogueError

NOTE_VERSION = 1
NOTE_MAX_BYTES = 64 << 10
STALE_S = 24 * 3600.0
"""A temporary file this old belongs to no living process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is known of the stored file; *seq* None: unsigned."""

    sha256: str
    source: str
    accepted_at: datetime
    seq: int | None = None


class Store:
    """The folder ``<state>/catalogue``. All methods block; call them in a thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "catalogue"
        self.file = self._folder / "current.parquet"
        self._note, self._next = self._folder / "current.json", self._folder / "next.json"

    def temporary(self) -> Path:
        """Return a path of this process's own for a file on its way in; leftovers of dead processes are removed."""
        with _storage("prepared"):
            self._folder.mkdir(parents=True, exist_ok=True)
            oldest = time.time() - STALE_S
            for left in self._folder.glob("*.tmp"):
                if left.stat().st_mtime < oldest:
                    left.unlink(missing_ok=True)
        return self._folder / f"incoming-{os.getpid()}-{time.monotonic_ns()}.tmp"

    def accept(self, incoming: Incoming, now: datetime) -> Note:
        """Make *incoming* the current file, durably."""
        note = Note(sha256=incoming.sha256, source=incoming.source, accepted_at=now)
        with _storage("stored"), self._locked():
            _write(self._next, note)
            incoming.file.replace(self.file)
            _sync_folder(self._folder)
            self._next.replace(self._note)
            _sync_folder(self._folder)
        return note

    def current(self) -> Note | None:
        """Return the note of the stored file, None when nothing was ever stored; CatalogueError when what is there is
        damaged.
        """
        if not self.file.exists():
            return None
        with _storage("read"), self.file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        for path in (self._note, self._next):
            note = _read(path)
            if note is not None and note.sha256 == sha256:
                return note
        message = f"the stored file {self.file} is damaged"
        raise CatalogueError(message, cure="it will be replaced when a source answers")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextlib.contextmanager
def _storage(verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"the catalogue's folder in the state cannot be {verb}: {error}"
        raise CatalogueError(message, cure="check the permissions and the room of the state directory") from error


def _write(path: Path, note: Note) -> None:
    text = json.dumps(
        {
            "version": NOTE_VERSION,
            "sha256": note.sha256,
            "source": note.source,
            "accepted_at": note.accepted_at.isoformat(),
            "seq": note.seq,
        }
    )
    fresh = path.with_name(f"{path.name}-{os.getpid()}.tmp")
    with fresh.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def _read(path: Path) -> Note | None:
    try:
        with path.open("rb") as stream:
            raw: Any = json.loads(stream.read(NOTE_MAX_BYTES))
        if raw["version"] != NOTE_VERSION:
            return None
        seq = raw["seq"]
        accepted_at = datetime.fromisoformat(raw["accepted_at"])
        if accepted_at.tzinfo is None:
            return None
        return Note(
            sha256=str(raw["sha256"]),
            source=str(raw["source"]),
            accepted_at=accepted_at,
            seq=None if seq is None else int(seq),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
