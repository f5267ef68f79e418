"""A whole item lies where people open it, any other lies apart; a crash leaves a torrent's files in exactly one of the
two folders.

A folder moves by one rename, and only while the session does not have it; a single file may be moved by the session,
which is one rename too. So at the start the files are where they are found, not where a resume file says.
"""

import os
from pathlib import Path

from smartnode.domain.identity import ItemKey
from smartnode.engine.needs import Places
from smartnode.errors import EngineError
from smartnode.metainfo.read import Metainfo


def find(places: Places, key: ItemKey, metainfo: Metainfo) -> tuple[Path, bool]:
    """Return the folder that holds the torrent's files and whether it is the place of whole items; the partial one
    when there are none yet. Blocking.
    """
    whole = places.whole(key, metainfo.info_hash)
    if any(os.path.lexists(whole / name) for name in {file.path.parts[0] for file in metainfo.files}):
        return whole, True
    return places.partial(key, metainfo.info_hash), False


def place(places: Places, key: ItemKey, metainfo: Metainfo, *, whole: bool) -> Path:
    """Return the folder where the torrent belongs."""
    return places.whole(key, metainfo.info_hash) if whole else places.partial(key, metainfo.info_hash)


def move(old: Path, new: Path) -> None:
    """Rename the folder *old* to *new*, durably; EngineError when something lies at *new*. Blocking."""
    if not old.exists():
        return
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        for folder in (new.parent, old.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        message = f"{old.name} cannot be moved to {new.parent}: {error}"
        raise EngineError(message, cure="move away what lies there") from error
