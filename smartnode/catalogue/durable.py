"""A small JSON file is there whole or as it was before, whenever the power fails."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace *path* durably; OSError leaves the old one."""
    fresh = path.with_name(f"{path.name}-{os.getpid()}.tmp")
    with fresh.open("w", encoding="utf-8") as out:
        out.write(json.dumps(value))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def read_json(path: Path, *, version: int, max_bytes: int) -> dict[str, Any] | None:
    """Return the object in *path*; None when there is none of this *version*, or it is damaged or too long."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
        value = json.loads(raw) if len(raw) <= max_bytes else None
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("version") == version else None


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
