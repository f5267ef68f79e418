"""A catalogue's source, whatever its kind, becomes one local file of its own with a digest, or a CatalogueError.

A local file is copied too: what was judged must be what is kept, even when the original changes a moment later.
"""

import asyncio
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from smartnode.catalogue.download import CHUNK_BYTES, Bounds, DownloadError, download
from smartnode.catalogue.footer import check_head
from smartnode.errors import CatalogueError
from smartnode.web.address import scheme_of, shown, web_address

CATALOGUE_BOUNDS = Bounds(max_bytes=2 << 30, deadline_s=900.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A fetched file, not judged yet: *sha256* in hex, *source* fit to be shown."""

    file: Path
    sha256: str
    source: str


async def fetch(source: str, file: Path, *, bounds: Bounds = CATALOGUE_BOUNDS) -> Incoming:
    """Bring *source* (a path, ``file:`` or http(s) address) to *file*; CatalogueError says why it cannot be had."""
    match scheme_of(source):
        case "http" | "https":
            sha256 = await _fetch_web(source, file, bounds)
        case "file":
            sha256 = await asyncio.to_thread(_copy, _file_path(source), file, bounds.max_bytes)
        case "magnet":
            message = f"a catalogue by magnet link is not supported yet: {shown(source)}"
            raise CatalogueError(message, cure="give a path or an http(s) address")
        case scheme if "://" in source:
            message = f"{scheme} addresses are not supported: {shown(source)}"
            raise CatalogueError(message, cure="give a path or an http(s) address")
        case _:
            sha256 = await asyncio.to_thread(_copy, Path(source), file, bounds.max_bytes)
    return Incoming(file=file, sha256=sha256, source=without_user(source))


def without_user(source: str) -> str:
    """Return *source* without a user name and password."""
    if scheme_of(source) not in {"http", "https"}:
        return source
    parts = urlsplit(source)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


async def _fetch_web(source: str, file: Path, bounds: Bounds) -> str:
    def address(url: str) -> str:
        # The volunteer's own setting may name a user and a private host; what it redirects to may be private too.
        return url if url == source else web_address(url, allow_private=True)

    try:
        return await download(source, file, bounds=bounds, allow_private=True, address=address, head=check_head)
    except DownloadError as error:
        message = f"{without_user(source)} cannot be fetched: {error}"
        raise CatalogueError(message, cure="check catalogue.urls and the network") from error


def _file_path(source: str) -> Path:
    parts = urlsplit(source)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        message = f"not the address of a local file: {shown(source)}"
        raise CatalogueError(message, cure="write it as file:///absolute/path")
    return Path(unquote(parts.path))


def _copy(origin: Path, file: Path, max_bytes: int) -> str:
    digest, copied = hashlib.sha256(), 0
    try:
        descriptor = os.open(origin.expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hang us
        with os.fdopen(descriptor, "rb") as stream, file.open("wb") as out:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                message = f"{origin} is not a file"
                raise CatalogueError(message, cure="give the path of a STAC GeoParquet file")
            while chunk := stream.read(CHUNK_BYTES):
                copied += len(chunk)
                if copied > max_bytes:
                    message = f"{origin} is over the limit of {max_bytes} bytes"
                    raise CatalogueError(message, cure="give a smaller catalogue")
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{origin} cannot be read: {reason}"
        raise CatalogueError(message, cure="check the path and its permissions") from error
    return digest.hexdigest()
