"""What each source said of the stored file: with it a poll that finds nothing new costs one small answer.

All entries are of one file, named by its SHA-256; a note of another file counts for nothing and is replaced.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from smartnode.catalogue.answer import NOTHING_KNOWN, Validators
from smartnode.catalogue.durable import read_json, write_json

POLLS_VERSION = 1
MAX_SOURCES = 32
_MAX_BYTES = 256 << 10


def read(path: Path, *, sha256: str) -> dict[str, Validators]:
    """Return the validators by source that *path* holds of the file of *sha256*; empty when they are of another one."""
    raw = read_json(path, version=POLLS_VERSION, max_bytes=_MAX_BYTES)
    sources = raw.get("sources") if raw is not None and raw.get("sha256") == sha256 else None
    if not isinstance(sources, dict):
        return {}
    return {source: found for source, said in sources.items() if (found := _validators(said)) is not None}


def note(path: Path, source: str, validators: Validators, *, sha256: str) -> None:
    """Keep *validators* as *source*'s word on the file of *sha256*, durably; nothing is written when it is there
    already. At most 32 sources, the newest. OSError.
    """
    known = read(path, sha256=sha256)
    if known.get(source, NOTHING_KNOWN) == validators:
        return
    known.pop(source, None)
    if validators != NOTHING_KNOWN:
        known[source] = validators
    newest = dict(list(known.items())[-MAX_SOURCES:])
    sources = {name: asdict(said) for name, said in newest.items()}
    write_json(path, {"version": POLLS_VERSION, "sha256": sha256, "sources": sources})


def _validators(said: Any) -> Validators | None:
    match said:
        case {"etag": str() | None as etag, "last_modified": str() | None as last_modified}:
            # Judged as if a server had just sent it: the file may have been damaged.
            pairs = {"ETag": etag, "Last-Modified": last_modified}
            return Validators.of({name: value for name, value in pairs.items() if value is not None})
    return None
