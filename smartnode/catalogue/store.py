"""The last accepted catalogue file survives a crash at any moment: ``current.parquet`` is swapped in whole, and a note
beside it always names it.

Order of a swap: the note durably as ``next.json``, the file renamed, the note renamed. Whatever moment the power
fails, one of the two notes fits the file. A lock keeps two processes (``run`` and ``plan``) from mixing their swaps.

What the sources said of the stored file stands in ``polls.json``; it counts only for the very file that it names.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smartnode.catalogue import partial, polls
from smartnode.catalogue.answer import NOTHING_KNOWN, Validators
from smartnode.catalogue.durable import read_json, sync_folder, write_json
from smartnode.catalogue.intake import Intake
from smartnode.errors import CatalogueError

NOTE_VERSION = 1
NOTE_MAX_BYTES = 64 << 10
STALE_S = 24 * 3600.0
"""A temporary file this old belongs to no living process."""
_TRIES = 3


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
        self._polls = self._folder / "polls.json"
        self._seen: tuple[object, ...] | None = None

    def intake(self, *, url: str | None = None) -> Intake:
        """Return a place of this process's own for a file on its way in; leftovers of dead processes are removed.

        With a *url*, fit to be stored, an interrupted download of it is continued; another process that is at it leaves
        us to begin our own.
        """
        with _storage("prepared"):
            self._folder.mkdir(parents=True, exist_ok=True)
            oldest = time.time() - STALE_S
            for left in self._folder.glob("*.tmp"):
                with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                    if left.stat().st_mtime < oldest:
                        left.unlink()
            partial.sweep(self._folder)
            file = self._folder / f"incoming-{os.getpid()}-{time.monotonic_ns()}.tmp"
            found = None if url is None else partial.claim(self._folder, url, file)
            return Intake(file) if found is None else found

    def accept(self, file: Path, *, sha256: str, source: str, now: datetime) -> Note:
        """Make *file* the current one, durably."""
        note = Note(sha256=sha256, source=source, accepted_at=now)
        with _storage("stored"), self._locked():
            write_json(self._next, _written(note))
            file.replace(self.file)
            sync_folder(self._folder)
            self._next.replace(self._note)
            sync_folder(self._folder)
            self._seen = self._mark()
        return note

    def is_as_seen(self) -> bool:
        """Whether the stored file is surely the one of the last ``accept`` or ``current``, by a look at its times."""
        with _storage("read"):
            return self._seen is not None and self._seen == self._mark()

    def current(self) -> Note | None:
        """Return the note of the stored file, None when nothing was ever stored; CatalogueError when what is there is
        damaged. The whole file is hashed.
        """
        for _ in range(_TRIES):
            with _storage("read"):
                self._seen = self._mark()
                if not self.file.exists():
                    return None
                with self.file.open("rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                for path in (self._note, self._next):
                    note = _read(path)
                    if note is not None and note.sha256 == sha256:
                        return note
                if self._seen == self._mark():
                    break  # else it was swapped under our eyes
        self._seen = None
        message = f"the stored file {self.file} is damaged"
        raise CatalogueError(message, cure="it will be replaced when a source answers")

    def known(self, source: str, *, sha256: str) -> Validators:
        """Return what *source* said when it served the file of *sha256*; nothing when it did not."""
        return polls.read(self._polls, sha256=sha256).get(source, NOTHING_KNOWN)

    def remember(self, source: str, validators: Validators, *, sha256: str) -> None:
        """Keep what *source* said of the file of *sha256*; what was said of other files is forgotten."""
        with _storage("stored"), self._locked():
            polls.note(self._polls, source, validators, sha256=sha256)

    def _mark(self) -> tuple[object, ...] | None:
        file = _stat(self.file)
        return None if file is None else (file, _stat(self._note), _stat(self._next))

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


def _written(note: Note) -> dict[str, Any]:
    return {
        "version": NOTE_VERSION,
        "sha256": note.sha256,
        "source": note.source,
        "accepted_at": note.accepted_at.isoformat(),
        "seq": note.seq,
    }


def _read(path: Path) -> Note | None:
    raw = read_json(path, version=NOTE_VERSION, max_bytes=NOTE_MAX_BYTES)
    if raw is None:
        return None
    try:
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
    except (ValueError, KeyError, TypeError):
        return None


def _stat(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
