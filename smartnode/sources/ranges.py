"""One range of one file is read exactly as asked, or it is said in one line why this server cannot be a web seed.

Nothing beyond what was asked is taken in: an answer without a range is closed unread, and a body that is longer than
it said ends the look. There is no retry here: that belongs to the schedule.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx

from smartnode.domain.mirror import MirrorState
from smartnode.sources.samples import Part
from smartnode.web.address import shown, web_address
from smartnode.web.retry import retry_after

MAX_REDIRECTS = 5
CHUNK_BYTES = 64 << 10
VALIDATOR_MAX = 200
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_SERVER_ERRORS = 500


class Failed(Exception):  # noqa: N818 - it is an outcome, and does not leave this room
    """The look ends here; *reason* is one line. *again_in*: what the server asked for; *crowded*: it counts requests
    per client, so its other files would answer the same.
    """

    def __init__(
        self, state: MirrorState, reason: str, *, again_in: timedelta | None = None, crowded: bool = False
    ) -> None:
        """Say what the mirror is now, and why."""
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.again_in = again_in
        self.crowded = crowded


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: *http* follows no redirects by itself; *now* is when the look began."""

    http: httpx.AsyncClient
    user_agent: str
    allow_private: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The range was served whole. *address*: where the redirects ended; *validator*: ETag, else Last-Modified."""

    address: str
    validator: str | None


async def read_range(address: str, part: Part, *, caller: Caller, take: Callable[[bytes], None]) -> Served:
    """Hand the bytes of *part* to *take* in order; Failed, or an httpx error, when the server does not serve them."""
    at, seen = address, set[str]()
    for _ in range(MAX_REDIRECTS + 1):
        try:
            at = web_address(at, allow_private=caller.allow_private)
        except ValueError as error:
            raise Failed(MirrorState.REFUSED, f"its address {error}") from error
        if at in seen:
            raise Failed(MirrorState.REFUSED, "it redirects in a circle")
        seen.add(at)
        asked = {
            "Accept-Encoding": "identity",
            "Range": f"bytes={part.start}-{part.end - 1}",
            "User-Agent": caller.user_agent,
        }
        async with caller.http.stream("GET", at, headers=asked) as response:
            if response.has_redirect_location:
                at = _next(response, at)
                continue
            _check(response, part, caller.now)
            await _receive(response, part.end - part.start, take)
            return Served(address=at, validator=_validator(response))
    raise Failed(MirrorState.REFUSED, f"it redirects more than {MAX_REDIRECTS} times")


def _next(response: httpx.Response, at: str) -> str:
    try:
        target = httpx.URL(at).join(response.headers["Location"])
    except (httpx.InvalidURL, ValueError) as error:
        raise Failed(MirrorState.REFUSED, "it redirects to what is no address") from error
    if at.startswith("https:") and target.scheme != "https":
        raise Failed(MirrorState.REFUSED, f"it redirects from https to {shown(str(target))}")
    return str(target)


def _check(response: httpx.Response, part: Part, now: datetime) -> None:
    """Failed unless the head of the answer promises exactly the bytes that were asked for."""
    status = response.status_code
    if status != HTTPStatus.PARTIAL_CONTENT:
        raise _refusal(response, now)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Failed(MirrorState.REFUSED, f"it encodes the bytes as {shown(encoding)} although asked not to")
    said = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if said is None:
        raise Failed(MirrorState.REFUSED, "it answers 206 without saying which bytes of how many")
    first, last, total = map(int, said.groups())
    if total != part.size:
        raise Failed(MirrorState.REFUSED, f"its file has {total} bytes instead of {part.size}")
    if (first, last) != (part.start, part.end - 1):
        raise Failed(MirrorState.REFUSED, f"it sends bytes {first}-{last} when asked for {part.start}-{part.end - 1}")
    length = response.headers.get("Content-Length", "")
    if length and length != str(part.end - part.start):
        raise Failed(MirrorState.REFUSED, f"it says {shown(length)} bytes when asked for {part.end - part.start}")


def _refusal(response: httpx.Response, now: datetime) -> Failed:
    """Return what an answer other than 206 means for the mirror."""
    status = response.status_code
    said = f"it answers {status}{_phrase(status)}"
    if status in _GONE:
        return Failed(MirrorState.GONE, said)
    if status in _LATER or status >= _SERVER_ERRORS:
        wait = retry_after(response.headers.get("Retry-After"), now)
        return Failed(MirrorState.WAITING, said, again_in=wait, crowded=status == HTTPStatus.TOO_MANY_REQUESTS)
    if status == HTTPStatus.OK and response.headers.get("Content-Type", "").lower().startswith("text/html"):
        return Failed(MirrorState.REFUSED, "it answers with a web page instead of the file")
    if status == HTTPStatus.OK:
        return Failed(MirrorState.REFUSED, "it sends the whole file when asked for a range")
    return Failed(MirrorState.REFUSED, said)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


async def _receive(response: httpx.Response, length: int, take: Callable[[bytes], None]) -> None:
    received = 0
    async for chunk in response.aiter_raw(CHUNK_BYTES):
        received += len(chunk)
        if received > length:
            raise Failed(MirrorState.REFUSED, f"it sends more than the {length} bytes asked for")
        take(chunk)
    if received < length:
        raise Failed(MirrorState.WAITING, f"it ends after {received} of {length} bytes")


def _validator(response: httpx.Response) -> str | None:
    said = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if said is None:
        return None
    return said if len(said) <= VALIDATOR_MAX and said.isprintable() else hashlib.sha256(said.encode()).hexdigest()
