"""A data root is known by its sentinel file: when it is gone (an unmounted disk), nothing is fetched, evicted or lost.

The sentinel holds a random id; the state remembers which id it belongs to. Both are written once, durably.
"""

import os
import re
import secrets
from pathlib import Path

from smartnode.errors import DiskError

SENTINEL = ".smartnode-root"
KNOWN_ROOT = "data-root"
_ID_BYTES = 16
_ID = re.compile(rb"[0-9a-f]{32}")
_READ_MAX = 200


def claim(root: Path, state: Path) -> None:
    """Write the sentinel of a root that the state does not know yet, or check the one that it knows."""
    if knows_root(state):
        check(root, state)
        return
    found = _read(root / SENTINEL)
    if found is None:
        found = secrets.token_hex(_ID_BYTES)
        write_durably(root / SENTINEL, found + "\n")
    write_durably(state / KNOWN_ROOT, found + "\n")


def knows_root(state: Path) -> bool:
    """The state belongs to a data root already."""
    return _read(state / KNOWN_ROOT) is not None


def check(root: Path, state: Path) -> None:
    """DiskError when the state knows a root and this is not it; a state that knows none accepts any."""
    known = _read(state / KNOWN_ROOT)
    if known is None:
        return
    found = _read(root / SENTINEL)
    if found is None:
        message = f"{root} has no {SENTINEL}: the disk is not mounted, or this is another folder"
        raise DiskError(message, cure="mount it; for a new empty root delete the state folder")
    if found != known:
        message = f"{root} belongs to another node (sentinel {found[:8]}, not {known[:8]})"
        raise DiskError(message, cure="point storage.path at this node's own folder")


def write_durably(path: Path, text: str) -> None:
    """Write *text* to a temporary file, sync it, rename it over *path*, sync the folder."""
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror})"
        raise DiskError(message, cure="check that the folder is writable and has room") from error


def _read(path: Path) -> str | None:
    """Return the id in *path*, None when the file does not exist; DiskError when it holds none: it is damaged."""
    try:
        with path.open("rb") as file:
            raw = file.read(_READ_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})"
        raise DiskError(message, cure="check its permissions") from error
    found = _ID.fullmatch(raw.strip())
    if found is None:
        message = f"{path} is damaged, it holds no id"
        raise DiskError(
            message, cure="check the disk; an intact copy of the id stands in the data root and in the state"
        )
    return found[0].decode()
