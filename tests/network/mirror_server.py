"""A web server that behaves as its paths say: ``python mirror_server.py ROOT HOST PORT LOG``.

``/<behaviour>/<path>`` serves ROOT/<path> in that way; a number is that status. Below ``/late-<behaviour>/`` a path is
served well twice (the two requests of a deep look), and a third time if that stays within 2 MiB in all; it misbehaves
from then on. Each request is one JSON line in
LOG, written before the first byte of the answer: path, behaviour (of this request), status (null when none is sent),
range. Runs until it is ended.
"""

import asyncio
import gzip
import itertools
import json
import re
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

LATE_REQUESTS = 3
LATE_BYTES = 2 << 20
PROBE_REQUESTS = 2
ENDLESS_CHUNKS = 4096
RETRY_S = 2
CHUNK = 64 << 10
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_STALL_S = 120.0


@dataclass(kw_only=True)
class Request:
    """One request to one file: *first* to *last* are the bytes it asks for, the whole file without a range."""

    path: str
    rest: str
    body: bytes
    asked: str | None
    writer: asyncio.StreamWriter
    first: int
    last: int
    note: Callable[[int | None], None]
    closes: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> bytes:
        """The bytes asked for."""
        return self.body[self.first : self.last + 1]

    def head(self, status: int, *, length: int | None, **more: str) -> None:
        """Send status and headers; *length* None: the body ends with the connection, if ever."""
        self.note(status)
        lines = {"ETag": f'"{len(self.body)}"', "Content-Type": "application/octet-stream"}
        if length is not None:
            lines["Content-Length"] = str(length)
        if status == 206:
            lines["Content-Range"] = f"bytes {self.first}-{self.last}/{len(self.body)}"
        lines |= {name.replace("_", "-"): value for name, value in more.items()}
        if self.closes:
            lines["Connection"] = "close"
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        self.writer.write(f"HTTP/1.1 {status} X\r\n{text}\r\n".encode())

    async def answer(self, status: int, body: bytes, **more: str) -> None:
        """Send a whole answer."""
        self.head(status, length=len(body), **more)
        for at in range(0, len(body), CHUNK):
            self.writer.write(body[at : at + CHUNK])
            await self.writer.drain()


async def ok(request: Request) -> None:
    """Serve the range, or the whole, as a good server does."""
    request.closes = False
    await request.answer(200 if request.asked is None else 206, request.part)


async def wrong_byte(request: Request) -> None:
    """The last byte of every range of two bytes or more is wrong: no piece is right."""
    part = bytearray(request.part)
    if len(part) > 1:
        part[-1] ^= 1
    await request.answer(206, bytes(part))


async def one_wrong_byte(request: Request) -> None:
    """One byte in the middle of the file is wrong: all pieces but one are right."""
    request.closes = False
    part, middle = bytearray(request.part), len(request.body) // 2 - request.first
    if 0 <= middle < len(part):
        part[middle] ^= 1
    await request.answer(206, bytes(part))


async def truncated(request: Request) -> None:
    """Announce all, send half, hang up; of one byte, nothing."""
    request.head(206, length=len(request.part))
    request.writer.write(request.part[: len(request.part) // 2])


async def short(request: Request) -> None:
    """Announce no length, send half, hang up."""
    request.head(206, length=None)
    request.writer.write(request.part[: len(request.part) // 2])


async def endless(request: Request) -> None:
    """Announce the right range and never stop sending."""
    request.head(206, length=None)
    for _ in range(ENDLESS_CHUNKS):
        request.writer.write(bytes(CHUNK))
        await request.writer.drain()


async def stall(request: Request) -> None:
    """Send half, then nothing more until the other side leaves."""
    request.head(206, length=len(request.part))
    request.writer.write(request.part[: len(request.part) // 2])
    await request.writer.drain()
    await asyncio.sleep(_STALL_S)


async def silent(request: Request) -> None:
    """Take the request and say nothing."""
    request.note(None)
    await asyncio.sleep(_STALL_S)


async def reset(request: Request) -> None:
    """Break the connection off with a reset."""
    request.note(None)
    raw = request.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.writer.transport.abort()


async def other_range(request: Request) -> None:
    """Serve other bytes than those asked for, and say so."""
    request.first, request.last = request.first + 1, min(request.last + 1, len(request.body) - 1)
    await request.answer(206, request.part)


_versions = itertools.count()


def _whole(request: Request, **more: str) -> Awaitable[None]:
    return request.answer(200, request.body, **more)


def _moved(status: int, to: str) -> Callable[[Request], Awaitable[None]]:
    return lambda request: request.answer(status, b"", Location=to.format(rest=request.rest))


def _in(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


BEHAVIOURS: dict[str, Callable[[Request], Awaitable[None]]] = {
    "ok": ok,
    "no-range": _whole,
    "html": lambda r: r.answer(200, b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8"),
    "301": _moved(301, "/ok/{rest}"),
    "302-chain": _moved(302, "/302-second/{rest}"),
    "302-second": _moved(307, "/302-third/{rest}"),
    "302-third": _moved(308, "/303/{rest}"),
    "303": _moved(303, "/ok/{rest}"),
    "loop": _moved(302, "/loop-back/{rest}"),
    "loop-back": _moved(302, "/loop/{rest}"),
    "redirects": lambda r: r.answer(302, b"", Location=f"/redirects/{r.rest}?{next(_versions)}"),
    "to-private": _moved(302, "http://10.0.0.1/{rest}"),
    "to-loopback": _moved(302, "http://localhost:1/{rest}"),
    "to-file": _moved(302, "file:///etc/{rest}"),
    "to-nonsense": lambda r: r.answer(302, b"", Location=":http://["),
    "to-folder": _moved(302, "/folder/{rest}/"),
    "folder": ok,
    "no-location": lambda r: r.answer(302, b""),
    "429-seconds": lambda r: r.answer(429, b"", Retry_After=str(RETRY_S)),
    "429-date": lambda r: r.answer(429, b"", Retry_After=_in(RETRY_S + 1)),
    "503-seconds": lambda r: r.answer(503, b"", Retry_After=str(RETRY_S)),
    "503-garbage": lambda r: r.answer(503, b"", Retry_After="soon"),
    "gzip": lambda r: r.answer(206, gzip.compress(r.part), Content_Encoding="gzip"),
    "truncated": truncated,
    "short": short,
    "wrong-byte": wrong_byte,
    "one-wrong-byte": one_wrong_byte,
    "stall": stall,
    "silent": silent,
    "reset": reset,
    "wrong-total": lambda r: r.answer(206, r.part, Content_Range=f"bytes {r.first}-{r.last}/{len(r.body) + 1}"),
    "no-total": lambda r: r.answer(206, r.part, Content_Range=f"bytes {r.first}-{r.last}/*"),
    "no-content-range": lambda r: r.answer(206, r.part, Content_Range=""),
    "other-range": other_range,
    "too-long": lambda r: r.answer(206, r.part + b"more"),
    "endless": endless,
    "other-etag": lambda r: r.answer(206, r.part, ETag=f'"{next(_versions)}"'),
    "no-validator": lambda r: r.answer(206, r.part, ETag=""),
}


def behaviour_of(name: str) -> Callable[[Request], Awaitable[None]] | None:
    """Return what a first path segment means; None when it means nothing."""
    if name.isdecimal() and name not in BEHAVIOURS:
        return lambda request: request.answer(int(name), b"")
    return BEHAVIOURS.get(name)


class Server:
    """Serves the files below *root*."""

    def __init__(self, root: Path, log: Path) -> None:
        """Write each request to *log*."""
        self._root = root
        self._log = log.open("a", buffering=1)
        self._served: dict[str, tuple[int, int]] = {}

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        _, name, rest = path.split("?")[0].split("/", 2)
        file = self._root / rest.rstrip("/")
        body = await asyncio.to_thread(file.read_bytes) if file.is_file() else None
        asked = lines.get("range")
        found = None if asked is None else _RANGE.fullmatch(asked)
        first = int(found[1]) if found else 0
        last = min(int(found[2]) if found and found[2] else 1 << 60, len(body or b"") - 1)
        now = self._now(name, path, last - first + 1)

        def note(status: int | None) -> None:
            said = {"path": path, "behaviour": now, "status": status, "range": asked}
            self._log.write(f"{json.dumps(said)}\n")

        request = Request(
            path=path, rest=rest, body=body or b"", asked=asked, writer=writer, first=first, last=last, note=note
        )
        meant = behaviour_of(now) if body is not None else behaviour_of("404")
        task = asyncio.ensure_future((meant or BEHAVIOURS["ok"])(request))
        gone = asyncio.ensure_future(reader.read(1)) if now in {"stall", "silent"} else None
        try:
            await asyncio.wait({task, gone} if gone else {task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for left in (task, gone):
                if left is not None and not left.done():
                    left.cancel()
        task.cancelled() or task.result()
        await writer.drain()
        return not request.closes

    def _now(self, name: str, path: str, length: int) -> str:
        """Return the behaviour of this request: of a late one, good at first."""
        if not name.startswith("late-"):
            return name
        requests, served = self._served.get(path, (0, 0))
        self._served[path] = (requests + 1, served + length)
        early = requests < LATE_REQUESTS and (requests < PROBE_REQUESTS or served + length <= LATE_BYTES)
        return "ok" if early else name.removeprefix("late-")


async def main(root: str, host: str, port: str, log: str) -> None:
    """Serve until ended."""
    server = await asyncio.start_server(Server(Path(root), Path(log)).speak, host, int(port))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
