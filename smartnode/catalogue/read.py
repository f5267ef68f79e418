"""A catalogue file becomes values through a short-lived child process, or a CatalogueError; this process never opens
the Parquet itself and believes no item it has not judged again.

The child is a fresh interpreter (no fork: DuckDB and libtorrent have threads) with limits on memory, time and the
length of each line; it is killed at the deadline. Reading time may grow with the file, at 256 KiB/s (a million rows of
70 bytes take 50 s on one slow desktop core).
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from smartnode.catalogue.footer import CURE, check_ends
from smartnode.catalogue.row import judge
from smartnode.catalogue.selection import MAX_LINE_BYTES, MAX_REJECTIONS, Selection
from smartnode.domain.catalogue import Item, Rejection
from smartnode.errors import CatalogueError

BASE_DEADLINE_S = 15.0
BYTES_PER_SECOND = 256 << 10
MAX_DEADLINE_S = 1800.0
MAX_ANSWER_BYTES = 512 << 20
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from smartnode.catalogue.child import main; main()"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file holds: *items* in file order, at most 1,000 of the *rejected_total* rejections, and all counts."""

    items: tuple[Item, ...]
    rejected: tuple[Rejection, ...]
    rejected_total: int
    rows: int
    good: int
    with_torrent: int
    deprecated: int


@dataclass(slots=True)
class _Answer:
    items: dict[int, Item] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    counts: dict[str, int] | None = None
    refused: str | None = None


async def read_catalogue(file: Path, *, selection: Selection, allow_private: bool) -> Reading:
    """Return what *file* holds; CatalogueError when it is refused as a whole."""
    try:
        size = await asyncio.to_thread(check_ends, file)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
        raise CatalogueError(message, cure="check the path and its permissions") from error
    deadline_s = min(BASE_DEADLINE_S + size / BYTES_PER_SECOND, MAX_DEADLINE_S)
    asked = {
        "directory": str(file.parent.absolute()),
        "name": file.name,
        "size": size,
        "cap": selection.cap,
        "held": sorted(selection.held),
        "slice": selection.slice_number,
        "allow_private": allow_private,
        "cpu_s": int(deadline_s),
    }
    answer = await _ask(asked, deadline_s, allow_private=allow_private)
    reading = _reading(answer)
    _log.debug("catalogue.file_read", rows=reading.rows, good=reading.good, rejected=reading.rejected_total)
    return reading


async def _ask(asked: dict[str, Any], deadline_s: float, *, allow_private: bool) -> _Answer:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _START,
        json.dumps(sys.path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MAX_LINE_BYTES,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
    )
    try:
        async with asyncio.timeout(deadline_s):
            answer = await _converse(process, asked, allow_private=allow_private)
            code = await process.wait()
    except TimeoutError as error:
        message = f"reading it takes longer than {deadline_s:.0f} s"
        raise CatalogueError(message, cure=CURE) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if answer.refused is None and (code != 0 or answer.counts is None):
        raise CatalogueError(_died(code), cure=CURE)
    return answer


async def _converse(process: asyncio.subprocess.Process, asked: dict[str, Any], *, allow_private: bool) -> _Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):  # it died early: its exit says why
        process.stdin.write(json.dumps(asked).encode())
        await process.stdin.drain()
    process.stdin.close()
    answer = _Answer()
    async for line in _lines(process.stdout):
        _note(answer, line, allow_private=allow_private)
    return answer


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    received = 0
    while True:
        try:
            line = await stream.readline()
        except ValueError as error:
            message = f"one row is over {MAX_LINE_BYTES} bytes"
            raise CatalogueError(message, cure=CURE) from error
        if not line:
            return
        received += len(line)
        if received > MAX_ANSWER_BYTES:
            message = f"its rows are over {MAX_ANSWER_BYTES} bytes"
            raise CatalogueError(message, cure=CURE)
        if not line.endswith(b"\n"):
            return  # it died in the middle of a line: its exit says why
        try:
            parsed = json.loads(line)
        except ValueError as error:
            message = "the reading process answered outside its protocol"
            raise CatalogueError(message, cure=CURE) from error
        yield parsed


def _note(answer: _Answer, line: dict[str, Any], *, allow_private: bool) -> None:
    match line:
        case {"item": int(row), "raw": dict(raw)}:
            match judge(raw, row=row, allow_private=allow_private):
                case Item() as item:
                    answer.items[row] = item
                case Rejection() as rejection:
                    message = f"the reading process took row {row}, which {rejection.reason}"
                    raise CatalogueError(message, cure=CURE)
        case {"rejected": int(row), "id": str() | None as name, "reason": str(reason)}:
            if len(answer.rejected) < MAX_REJECTIONS:
                answer.rejected.append(Rejection(row=row, id=name, reason=reason))
        case {"refused": str(reason)}:
            answer.refused = reason
        case {"end": dict(counts)}:
            answer.counts = counts
        case _:
            message = "the reading process answered outside its protocol"
            raise CatalogueError(message, cure=CURE)


def _reading(answer: _Answer) -> Reading:
    if answer.refused is not None:
        raise CatalogueError(answer.refused, cure=CURE)
    counts = answer.counts or {}
    items = tuple(answer.items[row] for row in sorted(answer.items))
    good, rejected = counts.get("good", -1), counts.get("rejected", -1)
    if not len(items) <= good or good + rejected != counts.get("rows"):
        message = "the reading process lost count of the rows"
        raise CatalogueError(message, cure=CURE)
    return Reading(
        items=items,
        rejected=tuple(answer.rejected),
        rejected_total=rejected,
        rows=counts["rows"],
        good=good,
        with_torrent=counts["with_torrent"],
        deprecated=counts["deprecated"],
    )


def _died(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "reading it takes too much processor time"
    if code < 0:
        return f"the process that read it died of {signal.Signals(-code).name}"
    return f"the process that read it ended with {code}"
