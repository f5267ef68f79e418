"""One path and one set of options always make the same .torrent, byte for byte.

Files are sorted by path (libtorrent lists them as the directory does), the creation date is given or absent. Hashing
holds the interpreter's lock for the whole run, so a daemon or a progress bar uses make_torrent_in_child.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtorrent as lt

from smartnode.errors import MetainfoError
from smartnode.metainfo.read import read_metainfo

CREATOR = "smartnode"
_NICENESS = 10
_REFUSED = 3
_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a .torrent says besides its files; *created_at* None: no date. *v1_only* False makes a hybrid (BEP 52)."""

    piece_length: int
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()
    comment: str = ""
    created_at: datetime | None = None
    v1_only: bool = True


def make_torrent(
    path: Path,
    *,
    piece_length: int,
    trackers: Sequence[str] = (),
    web_seeds: Sequence[str] = (),
    comment: str = "",
    created_at: datetime | None = None,
    v1_only: bool = True,
) -> bytes:
    """Return the .torrent of the file or folder *path*, hashed now; each tracker is a tier of its own.

    MetainfoError when the path cannot be read, holds nothing, or the result would not be accepted by read_metainfo.
    """
    try:
        raw = _generate(
            path.resolve(),
            Recipe(
                piece_length=piece_length,
                trackers=tuple(trackers),
                web_seeds=tuple(web_seeds),
                comment=comment,
                created_at=created_at,
                v1_only=v1_only,
            ),
        )
    except (RuntimeError, ValueError, OSError) as error:
        message = f"no torrent can be made of {path}: {error}"
        raise MetainfoError(message, cure="check that the path is readable and not empty") from error
    read_metainfo(raw)
    return raw


async def make_torrent_in_child(path: Path, recipe: Recipe, *, timeout_s: float = 86_400.0) -> bytes:
    """Return make_torrent's result, hashed in a child process of low priority; MetainfoError on failure or timeout."""
    request = asdict(recipe) | {
        "path": str(path),
        "created_at": None if recipe.created_at is None else recipe.created_at.timestamp(),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "smartnode.metainfo.make",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, complaint = await child.communicate(json.dumps(request).encode())
    except TimeoutError as error:
        message = f"hashing {path} took more than {timeout_s:.0f} s"
        raise MetainfoError(message, cure="try a faster disk or a smaller folder") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise MetainfoError(complaint.decode(errors="replace").strip()[-_ERROR_CHARACTERS:] or "the hashing child died")
    return out


def _generate(path: Path, recipe: Recipe) -> bytes:
    # The flags must be a keyword: the second positional parameter is a predicate.
    files = sorted(lt.list_files(str(path), flags=0), key=lambda entry: entry.filename)
    made = lt.create_torrent(files, recipe.piece_length, lt.create_torrent.v1_only if recipe.v1_only else 0)
    for tier, url in enumerate(recipe.trackers):
        made.add_tracker(url, tier)
    for url in recipe.web_seeds:
        made.add_url_seed(url)
    made.set_comment(recipe.comment)
    made.set_creator(CREATOR)
    made.set_creation_date(0 if recipe.created_at is None else int(recipe.created_at.timestamp()))
    lt.set_piece_hashes(made, str(path.parent))
    return bytes(lt.bencode(made.generate()))


def _main() -> int:
    """Make the torrent that the JSON request on stdin asks for; the .torrent goes to stdout, a complaint to stderr."""
    os.nice(_NICENESS)
    asked: dict[str, Any] = json.load(sys.stdin)
    path, created = Path(asked.pop("path")), asked.pop("created_at")
    created_at = None if created is None else datetime.fromtimestamp(created, tz=UTC)
    try:
        raw = make_torrent(path, created_at=created_at, **asked)
    except MetainfoError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    sys.stdout.buffer.write(raw)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
