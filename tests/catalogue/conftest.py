"""A real HTTP origin on loopback that can also misbehave, and the catalogues of tests/data."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent.parent / "data"


class Origin:
    """Serves ``answers[path]`` byte for byte; ``stall`` paths send their bytes and then nothing more."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.stalls: set[str] = set()
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The origin's address without a path."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, path: str, body: bytes, status: str = "200 OK", **headers: str) -> str:
        """Answer *path* with an honest, whole response; returns its address."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.answers[path] = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        return self.url + path

    def serve_raw(self, path: str, response: bytes, *, stall: bool = False) -> str:
        """Answer *path* with these very bytes; returns its address."""
        self.answers[path] = response
        if stall:
            self.stalls.add(path)
        return self.url + path

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            self.asked.append(path)
            self.heads.append(head)
            missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(self.answers.get(path, missing))
            await writer.drain()
            if path in self.stalls:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close what is still open."""
        for writer in list(self._open):
            writer.close()


class Library:
    """One file by HTTP, served as RFC 9110 says: validators, conditions and ranges; it can die in the middle."""

    def __init__(self) -> None:
        self.file = b""
        self.etag: str | None = '"one"'
        self.modified: str | None = None
        self.dies_after: int | None = None
        self.changes: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.answered: list[int] = []
        self.sent = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The file's address."""
        return f"http://127.0.0.1:{self.port}/catalogue.parquet"

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            asked = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            status, headers, body = self._answer(asked)
            self.asked.append(asked)
            self.answered.append(status)
            headers |= self.changes
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            dies, self.dies_after = self.dies_after, None
            body = body if dies is None else body[:dies]
            self.sent += len(body)
            writer.write(f"HTTP/1.1 {status} Said\r\nConnection: close\r\n{head}\r\n".encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, asked: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        validators = {"ETag": self.etag, "Last-Modified": self.modified}
        headers = {name: value for name, value in validators.items() if value is not None}
        known, since = asked.get("if-none-match"), asked.get("if-modified-since")
        if (known is not None and known == self.etag) or (known is None and since and since == self.modified):
            return 304, headers, b""
        begin = asked.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        if "range" not in asked or asked.get("if-range") != self.etag:
            return 200, headers | {"Content-Length": str(len(self.file))}, self.file
        if int(begin) >= len(self.file):
            return 416, {"Content-Length": "0", "Content-Range": f"bytes */{len(self.file)}"}, b""
        body = self.file[int(begin) :]
        place = f"bytes {begin}-{len(self.file) - 1}/{len(self.file)}"
        return 206, headers | {"Content-Length": str(len(body)), "Content-Range": place}, body


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    """A running library on loopback."""
    running = Library()
    server = await asyncio.start_server(running.speak, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    yield running
    server.close()
    await server.wait_closed()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A running origin on loopback."""
    running = Origin()
    server = await asyncio.start_server(running.speak, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    yield running
    running.hang_up()
    server.close()
    await server.wait_closed()


@pytest.fixture
def data() -> Path:
    """The folder of the real catalogues, the malformed ones and the .torrent files."""
    return DATA


@pytest.fixture
def now() -> datetime:
    """A fixed time."""
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def example() -> dict[str, Any]:
    """One whole, good row as the laws see it; a fresh one each time."""
    return flat(json.loads((DATA / "example_item.json").read_text()))


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """The eleven real items as rows."""
    return [flat(item) for item in json.loads((DATA / "items.json").read_text())]


@pytest.fixture
def flattened() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """STAC item to row."""
    return flat


def flat(item: dict[str, Any]) -> dict[str, Any]:
    """Return a STAC item as STAC GeoParquet lays it out: properties at the top."""
    names = ("id", "collection", "bbox", "assets")
    return {**item["properties"], **{name: item[name] for name in names if name in item}}


@pytest.fixture
def real(data: Path) -> bytes:
    """One real catalogue file."""
    return (data / "catalogue-rustac.parquet").read_bytes()


@pytest.fixture
def other(data: Path) -> bytes:
    """Another file of the same catalogue."""
    return (data / "catalogue-stac-geoparquet.parquet").read_bytes()
