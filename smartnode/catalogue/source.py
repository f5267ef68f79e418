"""A catalogue's source, whatever its kind, becomes one local file of its own with a digest, or a CatalogueError.

A local file is copied too: what was judged must be what is kept, even when the original changes a moment later.
"""

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from smartnode.catalogue.answer import NOTHING_KNOWN, DownloadError, Validators
from smartnode.catalogue.download import Bounds, Heard, Manners, Received, download, unheard
from smartnode.catalogue.footer import check_head
from smartnode.catalogue.intake import PORTION_BYTES, Intake
from smartnode.domain.network import STRAIGHT, Way
from smartnode.errors import CatalogueError
from smartnode.web.address import scheme_of, shown, web_address

CATALOGUE_BOUNDS = Bounds(max_bytes=2 << 30, deadline_s=900.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A fetched file, not judged yet: *sha256* in hex, *source* fit to be shown, *validators* its server's word."""

    file: Path
    sha256: str
    source: str
    validators: Validators = NOTHING_KNOWN


class BusyError(CatalogueError):
    """A server (429, 503) asks to be left alone for a while: *retry_after* is its header as it came."""

    def __init__(self, text: str, *, cure: str, retry_after: str) -> None:
        super().__init__(text, cure=cure)
        self.retry_after = retry_after


async def fetch(
    source: str,
    intake: Intake,
    *,
    bounds: Bounds = CATALOGUE_BOUNDS,
    way: Way = STRAIGHT,
    known: Validators = NOTHING_KNOWN,
    heard: Heard = unheard,
) -> Incoming | None:
    """Bring *source* (a path, ``file:`` or http(s) address) into *intake*; CatalogueError says why it cannot be had.

    None: its server says that it still is the file that *known* is of. *heard* is told what its server's clock shows.
    """
    match scheme_of(source):
        case "http" | "https":
            received = await _fetch_web(source, intake, bounds=bounds, way=way, known=known, heard=heard)
        case "file":
            received = await asyncio.to_thread(_copy, _file_path(source), intake, bounds.max_bytes)
        case "magnet":
            message = f"a catalogue by magnet link is not supported yet: {shown(source)}"
            raise CatalogueError(message, cure="give a path or an http(s) address")
        case scheme if "://" in source:
            message = f"{scheme} addresses are not supported: {shown(source)}"
            raise CatalogueError(message, cure="give a path or an http(s) address")
        case _:
            received = await asyncio.to_thread(_copy, Path(source), intake, bounds.max_bytes)
    if received is None:
        return None
    shows = without_user(source)
    return Incoming(file=intake.file, sha256=received.sha256, source=shows, validators=received.validators)


def is_web(source: str) -> bool:
    """Whether *source* is an http(s) address."""
    return scheme_of(source) in {"http", "https"}


def without_user(source: str) -> str:
    """Return *source* without a user name and password."""
    if not is_web(source):
        return source
    parts = urlsplit(source)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


async def _fetch_web(
    source: str, intake: Intake, *, bounds: Bounds, way: Way, known: Validators, heard: Heard
) -> Received | None:
    def address(url: str) -> str:
        # The volunteer's own setting may name a user and a private host; what it redirects to may be private too.
        return url if url == source else web_address(url, allow_private=True)

    manners = Manners(bounds=bounds, allow_private=True, address=address, head=check_head, way=way, heard=heard)
    try:
        return await download(source, intake, manners=manners, known=known)
    except DownloadError as error:
        message, cure = f"{without_user(source)} cannot be fetched: {error}", "check catalogue.urls and the network"
        if error.retry_after is not None:
            raise BusyError(message, cure=cure, retry_after=error.retry_after) from error
        raise CatalogueError(message, cure=cure) from error


def _file_path(source: str) -> Path:
    parts = urlsplit(source)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        message = f"not the address of a local file: {shown(source)}"
        raise CatalogueError(message, cure="write it as file:///absolute/path")
    return Path(unquote(parts.path))


def _copy(origin: Path, intake: Intake, max_bytes: int) -> Received:
    try:
        descriptor = os.open(origin.expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hang us
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                message = f"{origin} is not a file"
                raise CatalogueError(message, cure="give the path of a STAC GeoParquet file")
            intake.restart()
            while chunk := stream.read(PORTION_BYTES):
                if intake.length + len(chunk) > max_bytes:
                    message = f"{origin} is over the limit of {max_bytes} bytes"
                    raise CatalogueError(message, cure="give a smaller catalogue")
                if intake.take(chunk):
                    intake.write()
            return Received(sha256=intake.finish(), validators=NOTHING_KNOWN)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{origin} cannot be read: {reason}"
        raise CatalogueError(message, cure="check the path and its permissions") from error
