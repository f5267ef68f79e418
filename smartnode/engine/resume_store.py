"""A resume file is whole or not there, and never says "have" of data that a power cut could still take.

One file per torrent, ``<state>/resume/<info-hash>.resume``, replaced by write, fsync, rename, fsync of the folder.
Before it is written, the data of pieces that it newly calls held is made durable (fdatasync). The marker ``clean``
exists only between a clean stop and the next start.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from smartnode.domain.identity import InfoHash, info_hash
from smartnode.errors import EngineError
from smartnode.metainfo.resume import MAX_RESUME_BYTES, RESUME_SUFFIX

_CURE = "check that the state folder is writable and not full"


class ResumeStore:
    """The resume files of one node. Blocking: call it in a thread."""

    def __init__(self, state_dir: Path) -> None:
        """Keep the files in ``<state_dir>/resume``."""
        self._folder = state_dir / "resume"
        self._marker = self._folder / "clean"

    def open(self) -> bool:
        """Make the folder, remove what a crash left half-written; return whether the last stop was clean."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for stray in self._folder.glob("*.tmp"):
                stray.unlink()
            clean = self._marker.exists()
            self._marker.unlink(missing_ok=True)
            _sync_folder(self._folder)
        except OSError as error:
            message = f"the resume folder {self._folder} cannot be used: {error}"
            raise EngineError(message, cure=_CURE) from error
        return clean

    def mark_clean(self) -> None:
        """Say that everything was saved and nothing runs."""
        self._write(self._marker, b"")

    def read_all(self) -> Iterator[tuple[InfoHash, bytes | EngineError]]:
        """Yield every resume file in order of its name, or why it cannot be read; other files are left alone."""
        for path in sorted(self._folder.glob(f"*{RESUME_SUFFIX}")):
            try:
                key = info_hash(path.name.removesuffix(RESUME_SUFFIX))
            except ValueError:
                continue
            try:
                with path.open("rb") as file:
                    yield key, file.read(MAX_RESUME_BYTES + 1)
            except OSError as error:
                yield key, EngineError(f"the resume file {path.name} cannot be read: {error}", cure=_CURE)

    def write(self, key: InfoHash, raw: bytes) -> None:
        """Replace the torrent's resume file durably; EngineError when it cannot be written, the old one then stays."""
        self._write(self._folder / f"{key}{RESUME_SUFFIX}", raw)

    def delete(self, key: InfoHash) -> None:
        """Forget the torrent durably."""
        try:
            (self._folder / f"{key}{RESUME_SUFFIX}").unlink(missing_ok=True)
            _sync_folder(self._folder)
        except OSError as error:
            message = f"the resume file of {key} cannot be deleted: {error}"
            raise EngineError(message, cure=_CURE) from error

    def _write(self, path: Path, raw: bytes) -> None:
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            message = f"{path.name} cannot be written: {error}"
            raise EngineError(message, cure=_CURE) from error


def sync_files(paths: Iterable[Path]) -> None:
    """Make the data of *paths* durable; a file that is not there has nothing to lose."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            message = f"{path.name} cannot be opened: {error}"
            raise EngineError(message, cure="check the storage") from error
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            message = f"the data of {path.name} cannot be made durable: {error}"
            raise EngineError(message, cure="check the disk") from error
        finally:
            os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
