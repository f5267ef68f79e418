"""A download is whole or it is nothing: bounded in bytes, time and redirects, and never decoded on the way.

An early close is an error when the length was announced; where it was not, the file's own end has to tell. There is no
retry here: that belongs to the schedule.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from smartnode.web.address import shown
from smartnode.web.transport import client

MAX_REDIRECTS = 5
CHUNK_BYTES = 256 << 10
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one download may cost."""

    max_bytes: int
    deadline_s: float


class DownloadError(Exception):
    """The download failed; the text is the reason in one line. It does not leave this room."""


CheckAddress = Callable[[str], str]
CheckHead = Callable[[bytes], None]


async def download(
    url: str, file: Path, *, bounds: Bounds, allow_private: bool, address: CheckAddress, head: CheckHead
) -> str:
    """Write what *url* serves durably to *file* and return its SHA-256 in hex; DownloadError otherwise.

    *address* returns each address of the chain as it may be asked, or raises ValueError; *head* may raise on the first
    bytes and so end the download early.
    """
    try:
        async with asyncio.timeout(bounds.deadline_s), client(allow_private=allow_private) as http:
            return await _follow(http, url, file, bounds=bounds, address=address, head=head)
    except TimeoutError as error:
        message = f"it takes longer than {bounds.deadline_s:g} s"
        raise DownloadError(message) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(str(error) or type(error).__name__) from error
    except (OSError, UnicodeError) as error:
        message = f"{type(error).__name__}: {error}"
        raise DownloadError(message) from error


async def _follow(
    http: httpx.AsyncClient, url: str, file: Path, *, bounds: Bounds, address: CheckAddress, head: CheckHead
) -> str:
    at = url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            at = address(at)
        except ValueError as error:
            message = f"the address {error}"
            raise DownloadError(message) from error
        async with http.stream("GET", at, headers={"Accept-Encoding": "identity"}) as response:
            if response.is_redirect:
                at = _next(response, at)
                continue
            _check(response, bounds)
            return await _receive(response, file, bounds=bounds, head=head)
    message = f"it redirects more than {MAX_REDIRECTS} times"
    raise DownloadError(message)


def _next(response: httpx.Response, at: str) -> str:
    target = httpx.URL(at).join(response.headers["Location"])
    if at.startswith("https:") and target.scheme != "https":
        message = f"it redirects from https to {shown(str(target))}"
        raise DownloadError(message)
    return str(target)


def _check(response: httpx.Response, bounds: Bounds) -> None:
    if response.status_code != httpx.codes.OK:
        message = f"the server answers {response.status_code} {response.reason_phrase}".rstrip()
        raise DownloadError(message)
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        message = f"the server encodes it as {shown(encoding)} although asked not to"
        raise DownloadError(message)
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > bounds.max_bytes:
        message = f"its {length[:20]} bytes are over the limit of {bounds.max_bytes}"
        raise DownloadError(message)


async def _receive(response: httpx.Response, file: Path, *, bounds: Bounds, head: CheckHead) -> str:
    digest, received, first = hashlib.sha256(), 0, b""
    with await asyncio.to_thread(file.open, "wb") as out:
        async for chunk in response.aiter_raw(CHUNK_BYTES):
            if len(first) < _HEAD_BYTES:
                first = (first + chunk)[:_HEAD_BYTES]
                if len(first) == _HEAD_BYTES:
                    head(first)
            received += len(chunk)
            if received > bounds.max_bytes:
                message = f"it is over the limit of {bounds.max_bytes} bytes"
                raise DownloadError(message)
            digest.update(chunk)
            await asyncio.to_thread(out.write, chunk)
        await asyncio.to_thread(_settle, out.fileno(), out.flush)
    return digest.hexdigest()


def _settle(fileno: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(fileno)
