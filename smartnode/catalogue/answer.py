"""An answer is taken only when it fits what was asked (RFC 9110): the whole file, the asked rest of the very file that
was begun, or "unchanged" where that was the question.

A rest fits when it begins where our part ends, is of the announced length and carries the same strong ETag. Whatever
else a server says is a DownloadError. Pure: no I/O and no clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self

from smartnode.web.address import shown

REASON_MAX = 300
VALIDATOR_MAX = 512
"""Characters of an ETag that are remembered; real ones are below 100."""
_STRONG = re.compile(r'"[\x21\x23-\x7e]+"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_LENGTH = re.compile(r"\d{1,20}")
_OK, _PARTIAL, _NOT_MODIFIED, _UNSATISFIABLE = 200, 206, 304, 416
_BUSY = frozenset({429, 503})


class DownloadError(Exception):
    """The download failed; the text is the reason in one line that is fit to be shown, whatever the server put into it.
    It does not leave this room.

    *retry_after* is the header of a busy server (429, 503) as it came. *hostile*: what came so far is worth nothing.
    """

    def __init__(self, text: str, *, retry_after: str | None = None, hostile: bool = False) -> None:
        super().__init__("".join(c if c.isprintable() else "?" for c in text[:REASON_MAX]))
        self.retry_after = retry_after
        self.hostile = hostile


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server said of a file, as received, to ask later whether it is still the one."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """Return what *headers* hold and what can be sent back. A file that was changed in the very second of the
        answer may change again without another Last-Modified (RFC 9110, 8.8.2.2): such a time is not kept.
        """
        etag, modified = _kept(headers.get("ETag")), _kept(headers.get("Last-Modified"))
        return cls(etag=etag, last_modified=None if modified == headers.get("Date") else modified)


NOTHING_KNOWN = Validators()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The durable beginning of a file: *length* bytes whose SHA-256 is *sha256*, of *total* (None: not announced)."""

    etag: str
    length: int
    sha256: str
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one request asks: the whole file or the rest after *progress*, and only if it is not the one of *known*."""

    known: Validators = NOTHING_KNOWN
    progress: Progress | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers."""
        headers = {"Accept-Encoding": "identity"}
        if self.known.etag is not None:
            headers["If-None-Match"] = self.known.etag
        if self.known.last_modified is not None:
            headers["If-Modified-Since"] = self.known.last_modified
        if self.progress is not None:
            headers["Range"] = f"bytes={self.progress.length}-"
            headers["If-Range"] = self.progress.etag
        return headers


class Kind(Enum):
    """What an answer brings."""

    WHOLE = "whole"
    REST = "rest"
    UNCHANGED = "unchanged"
    NO_SUCH_REST = "no such rest"  # the file is another one: to be asked for from its beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A fitting answer; *total* bytes of the whole file, None where the server does not say."""

    kind: Kind
    total: int | None = None
    validators: Validators = NOTHING_KNOWN


def judge(question: Question, status: int, headers: Mapping[str, str], *, reason: str, max_bytes: int) -> Answer:
    """Return what a server's *status* and *headers* mean for *question*; DownloadError when they do not fit it."""
    progress = question.progress
    if status == _NOT_MODIFIED and question.known != NOTHING_KNOWN:
        return Answer(kind=Kind.UNCHANGED)
    if status == _UNSATISFIABLE and progress is not None:
        return Answer(kind=Kind.NO_SUCH_REST)
    if status != _OK and (status != _PARTIAL or progress is None):
        message = f"the server answers {status} {reason}".rstrip()
        unasked = " although nothing was asked for on that condition" if status in {_PARTIAL, _NOT_MODIFIED} else ""
        raise DownloadError(message + unasked, retry_after=headers.get("Retry-After") if status in _BUSY else None)
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        message = f"the server encodes it as {shown(encoding)} although asked not to"
        raise DownloadError(message, hostile=True)
    kind, total = Kind.WHOLE, _length(headers)
    if status == _PARTIAL and progress is not None:
        kind, total = Kind.REST, _total_of_rest(headers, progress)
    if total is not None and total > max_bytes:
        message = f"its {total} bytes are over the limit of {max_bytes}"
        raise DownloadError(message, hostile=True)
    return Answer(kind=kind, total=total, validators=Validators.of(headers))


def strong(etag: str | None) -> str | None:
    """Return *etag* when equal ones mean equal bytes (RFC 9110, 8.8.1), None otherwise."""
    return etag if etag is not None and len(etag) <= VALIDATOR_MAX and _STRONG.fullmatch(etag) else None


def _total_of_rest(headers: Mapping[str, str], progress: Progress) -> int | None:
    text = headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(text)
    etag = headers.get("ETag")
    if found is None:
        message = f"the rest comes with the Content-Range {shown(text)}"
        raise DownloadError(message, hostile=True)
    first, last = int(found[1]), int(found[2])
    total = progress.total if found[3] == "*" else int(found[3])
    length = _length(headers)
    if first != progress.length or last < first or (total is not None and last >= total):
        message = f"asked for what follows {progress.length} bytes it sends {shown(text)}"
    elif progress.total not in {None, total}:
        message = f"it was {progress.total} bytes and is {total} now under one ETag"
    elif length is not None and length != last - first + 1:
        message = f"it announces {length} bytes for {shown(text)}"
    elif etag != progress.etag:
        message = f"the rest has the ETag {shown(etag or '')}, the beginning had {shown(progress.etag)}"
    else:
        return total
    raise DownloadError(message, hostile=True)


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def _kept(validator: str | None) -> str | None:
    fits = validator and len(validator) <= VALIDATOR_MAX and validator.isascii() and validator.isprintable()
    return validator if fits else None
