"""A download is whole or it is nothing: bounded in bytes, time and redirects, and never decoded on the way.

An early close is an error when the length was announced; where it was not, the file's own end has to tell. What an
earlier try left in the intake is continued when the server still has that very file. There is no retry here: that
belongs to the schedule.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import httpx

from smartnode.catalogue.answer import NOTHING_KNOWN, Answer, DownloadError, Kind, Question, Validators, judge
from smartnode.catalogue.intake import Intake
from smartnode.domain.network import STRAIGHT, Way
from smartnode.web.address import shown
from smartnode.web.dates import told_by
from smartnode.web.transport import client

MAX_REDIRECTS = 5
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one download may cost."""

    max_bytes: int
    deadline_s: float


CheckAddress = Callable[[str], str]
CheckHead = Callable[[bytes], None]
Heard = Callable[[datetime], None]


def unheard(_: datetime) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a download asks: *address* returns each address of the chain as it may be asked, or raises ValueError; *head*
    may raise on the first bytes and so end the download early. Connections leave by *way*. *heard* is told what the
    clock of each server that answers shows.
    """

    bounds: Bounds
    allow_private: bool
    address: CheckAddress
    head: CheckHead
    way: Way = STRAIGHT
    heard: Heard = unheard


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A whole file: its *sha256* in hex, and what the server said of it."""

    sha256: str
    validators: Validators


async def download(url: str, intake: Intake, *, manners: Manners, known: Validators = NOTHING_KNOWN) -> Received | None:
    """Bring what *url* serves into *intake*, whole and durable; None: it still is the file that *known* is of.

    DownloadError otherwise; the deadline is for this try, the limit of bytes for the whole file.
    """
    bounds = manners.bounds
    try:
        async with (
            asyncio.timeout(bounds.deadline_s),
            client(allow_private=manners.allow_private, way=manners.way) as http,
        ):
            return await _follow(http, url, intake, manners=manners, known=known)
    except TimeoutError as error:
        message = f"it takes longer than {bounds.deadline_s:g} s"
        raise DownloadError(message) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(str(error) or type(error).__name__) from error
    except (OSError, ValueError) as error:  # httpx raises the last at some redirects
        message = f"{type(error).__name__}: {error}"
        raise DownloadError(message) from error


async def _follow(
    http: httpx.AsyncClient, url: str, intake: Intake, *, manners: Manners, known: Validators
) -> Received | None:
    at, question = url, Question(known=known, progress=intake.progress)
    for _ in range(MAX_REDIRECTS + 1):
        try:
            at = manners.address(at)
        except ValueError as error:
            message = f"the address {error}"
            raise DownloadError(message) from error
        async with http.stream("GET", at, headers=question.headers) as response:
            date = told_by(response.headers)
            if date is not None:
                manners.heard(date)
            if response.has_redirect_location:
                at = _next(response, at)
                continue
            answer = _judge(response, question, intake, manners.bounds)
            match answer.kind:
                case Kind.UNCHANGED:
                    intake.forget()
                    return None
                case Kind.NO_SUCH_REST:
                    intake.forget()
                    question = replace(question, progress=None)
                case Kind.WHOLE | Kind.REST:
                    return await _receive(response, answer, intake, manners)
    message = f"it redirects more than {MAX_REDIRECTS} times"
    raise DownloadError(message)


def _next(response: httpx.Response, at: str) -> str:
    target = httpx.URL(at).join(response.headers["Location"])
    if at.startswith("https:") and target.scheme != "https":
        message = f"it redirects from https to {shown(str(target))}"
        raise DownloadError(message)
    return str(target)


def _judge(response: httpx.Response, question: Question, intake: Intake, bounds: Bounds) -> Answer:
    try:
        return judge(
            question,
            response.status_code,
            response.headers,
            reason=response.reason_phrase,
            max_bytes=bounds.max_bytes,
        )
    except DownloadError as error:
        if error.hostile:
            intake.forget()
        raise


async def _receive(response: httpx.Response, answer: Answer, intake: Intake, manners: Manners) -> Received:
    if answer.kind is Kind.WHOLE:
        await asyncio.to_thread(intake.restart, etag=answer.validators.etag, total=answer.total)
    limit = manners.bounds.max_bytes if answer.total is None else answer.total
    first = b"" if answer.kind is Kind.WHOLE else bytes(_HEAD_BYTES)  # a rest's beginning was judged in its time
    async for chunk in response.aiter_raw():
        if len(first) < _HEAD_BYTES:
            first = (first + chunk)[:_HEAD_BYTES]
            if len(first) == _HEAD_BYTES:
                _judge_head(first, intake, manners.head)
        if intake.length + len(chunk) > limit:
            intake.forget()
            raise DownloadError(_too_long(answer, manners.bounds))
        if intake.take(chunk):
            await asyncio.to_thread(intake.write)
    if answer.total is not None and intake.length < answer.total:
        message = f"it ends after {intake.length} of {answer.total} bytes"
        raise DownloadError(message)
    return Received(sha256=await asyncio.to_thread(intake.finish), validators=answer.validators)


def _judge_head(first: bytes, intake: Intake, head: CheckHead) -> None:
    try:
        head(first)
    except Exception:
        intake.forget()
        raise


def _too_long(answer: Answer, bounds: Bounds) -> str:
    if answer.total is None:
        return f"it is over the limit of {bounds.max_bytes} bytes"
    return f"it is longer than the {answer.total} bytes that were announced"
