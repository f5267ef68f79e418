"""The catalogue over real servers: what a poll costs, and what becomes of a download whose server dies."""

import asyncio
import hashlib
import os
import re
import resource
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.catalogue.catalogue import Catalogue
from smartnode.errors import CatalogueError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROWS = 3000
BULK = 8 << 10
SLOW = 2 << 20
LINE = re.compile(r'^(?P<host>\S+) .*"GET (?P<path>\S+) HTTP/1.1" (?P<status>\d+) (?P<sent>\d+)')


def catalogue_file(file: Path, *, seed: int = 0) -> bytes:
    """Write a catalogue of some 24 MB, most of it bytes that nobody reads; returns what it holds."""
    hashes = [f"{seed:08x}{n:032x}" for n in range(ROWS)]
    columns = {"id": hashes, "torrent:info_hash": hashes, "torrent:size": [5] * ROWS}
    columns["geometry"] = [os.urandom(BULK) for _ in range(ROWS)]
    pq.write_table(pa.table(columns), file, compression="none")
    return file.read_bytes()


def room(tmp_path: Path, *urls: str) -> Catalogue:
    """Return a room over *urls*."""
    state, cache = tmp_path / "state", tmp_path / "cache"
    return Catalogue(state=state, cache=cache, urls=urls, allow_unsigned=True, allow_private=False)


def used(who: int) -> float:
    """Return processor seconds."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def read_so_far() -> int:
    """Return the bytes that this process has read, from the disk's cache or not."""
    return int(re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())[0])


def answers(server: Any, count: int, wait: Callable[..., Any]) -> list[tuple[str, int]]:
    """Return status and body bytes of each request, once *count* are logged."""
    wait("the access log", lambda: len(server.requests) >= count, deadline_s=20, pause_s=0.02)
    found = [LINE.match(line) for line in server.requests]
    assert len(found) == count
    return [(match["status"], int(match["sent"])) for match in found if match]


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """A folder to be served."""
    folder = tmp_path / "www"
    folder.mkdir()
    return folder


async def test_an_unchanged_poll_costs_one_request_and_next_to_no_time(
    tmp_path: Path, www: Path, nginx: Any, wait: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the second poll on there is one 304 each, no child process, and the stored file is not read again."""
    size = len(await asyncio.to_thread(catalogue_file, www / "c.parquet"))
    server = nginx(www)
    catalogue = room(tmp_path, f"{server.url}/c.parquet")
    costs = []
    for _ in range(5):
        before = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN), read_so_far()
        snapshot = await catalogue.refresh(now=NOW)
        after = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN), read_so_far()
        costs.append((after[0] - before[0], after[1] - before[1], after[2] - before[2]))
    assert (snapshot.good, catalogue.degraded()) == (ROWS, ())
    assert answers(server, 5, wait) == [("200", size), *[("304", 0)] * 4]
    assert [children for _, children, _ in costs[1:]] == [0.0] * 4
    assert all(read < size // 10 for *_, read in costs[1:])
    with capsys.disabled():
        shown = ", ".join(f"{own * 1000:.0f}+{below * 1000:.0f} ms" for own, below, _ in costs)
        print(f"\ncatalogue of {size / 1e6:.1f} MB, processor time of polls (own + reading child): {shown}")  # noqa: T201 - the measured figure


async def test_a_download_whose_server_died_is_continued(
    tmp_path: Path, www: Path, nginx: Any, wait: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server dies in the middle, twice; the next process asks for the rest only, and the bytes are the file's."""
    content = await asyncio.to_thread(catalogue_file, www / "c.parquet")
    lengths = [await begun(tmp_path, www, nginx, wait) for _ in range(2)]
    server = nginx(www)
    catalogue = room(tmp_path, f"{server.url}/c.parquet")
    snapshot = await catalogue.refresh(now=NOW)
    assert snapshot.sha256 == hashlib.sha256(content).hexdigest()
    assert await asyncio.to_thread((tmp_path / "state/catalogue/current.parquet").read_bytes) == content
    assert lengths[0] < lengths[1]
    assert answers(server, 1, wait) == [("206", len(content) - lengths[1])]  # what it died of it did not log
    assert [f.name for f in (tmp_path / "state/catalogue").glob("partial-*")] == []
    await catalogue.refresh(now=NOW)
    assert answers(server, 2, wait)[1] == ("304", 0)
    with capsys.disabled():
        print(f"\nof {len(content)} bytes {lengths} were there each time the server died")  # noqa: T201 - the measured figure


async def test_a_file_that_changed_meanwhile_is_begun_again(tmp_path: Path, www: Path, nginx: Any, wait: Any) -> None:
    """The server that finds another file answers with all of it; nothing of the old one is mixed in."""
    await asyncio.to_thread(catalogue_file, www / "c.parquet")
    await begun(tmp_path, www, nginx, wait)
    content = await asyncio.to_thread(catalogue_file, www / "new", seed=1)
    os.utime(www / "new", (1_700_000_000, 1_700_000_000))
    (www / "new").replace(www / "c.parquet")
    server = nginx(www)
    snapshot = await room(tmp_path, f"{server.url}/c.parquet").refresh(now=NOW)
    assert snapshot.sha256 == hashlib.sha256(content).hexdigest()
    assert answers(server, 1, wait) == [("200", len(content))]


async def begun(tmp_path: Path, www: Path, nginx: Any, wait: Any) -> int:
    """Let a slow nginx die while it serves; returns how many bytes are kept."""
    server = nginx(www, rate=SLOW)
    kept = tmp_path / "state/catalogue"
    before = sum(part.stat().st_size for part in kept.glob("partial-*.part"))
    trying = asyncio.create_task(room(tmp_path, f"{server.url}/c.parquet").refresh(now=NOW))

    def grown() -> bool:
        return sum(part.stat().st_size for part in kept.glob("partial-*.part")) > before + (1 << 20)

    await asyncio.to_thread(wait, "a part of the file", grown, deadline_s=60, pause_s=0.02)
    await asyncio.to_thread(server.stop)
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await trying
    (part,) = kept.glob("partial-*.part")
    return part.stat().st_size


class Dying:
    """Serves one file and resets the connection after some bytes; notes what it is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"one"'
        self.dies_after: int | None = None
        self.asked: list[tuple[str | None, str | None]] = []
        self.port = 0

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.split("\r\n")[1:-2])}
        self.asked.append((asked.get("range"), asked.get("if-range")))
        begin, status, more = 0, "200 OK", ""
        if "range" in asked and asked.get("if-range") == self.etag:
            begin, status = int(asked["range"].removeprefix("bytes=").removesuffix("-")), "206 Partial Content"
            more = f"Content-Range: bytes {begin}-{len(self.content) - 1}/{len(self.content)}\r\n"
        body = self.content[begin:]
        lines = f"HTTP/1.1 {status}\r\nETag: {self.etag}\r\nContent-Length: {len(body)}\r\n{more}"
        writer.write(f"{lines}Connection: close\r\n\r\n".encode() + body[: self.dies_after])
        await writer.drain()
        if self.dies_after is None:
            writer.close()
        else:
            writer.transport.abort()


async def test_the_rest_is_asked_for_on_the_condition_that_it_is_the_same_file(tmp_path: Path) -> None:
    """Half, reset, the rest by Range and If-Range: counted at the server; with another tag the whole file comes."""
    content = await asyncio.to_thread(catalogue_file, tmp_path / "c.parquet")
    dying = Dying(content)
    server = await asyncio.start_server(dying.speak, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/c.parquet"
    dying.dies_after = len(content) // 2
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await room(tmp_path, url).refresh(now=NOW)
    (part,) = (tmp_path / "state/catalogue").glob("partial-*.part")
    kept = part.stat().st_size
    assert 0 < kept <= len(content) // 2
    assert part.read_bytes() == content[:kept]
    dying.dies_after = 1 << 20
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await room(tmp_path, url).refresh(now=NOW)
    more = part.stat().st_size
    dying.dies_after, dying.etag = None, '"two"'
    dying.content = await asyncio.to_thread(catalogue_file, tmp_path / "d.parquet", seed=1)
    snapshot = await room(tmp_path, url).refresh(now=NOW)
    assert snapshot.sha256 == hashlib.sha256(dying.content).hexdigest()
    assert dying.asked == [(None, None), (f"bytes={kept}-", '"one"'), (f"bytes={more}-", '"one"')]
    server.close()
    await server.wait_closed()
