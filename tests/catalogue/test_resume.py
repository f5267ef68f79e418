"""An interrupted download is continued byte-exactly or begun again; whatever a server says, the good file stays."""

import asyncio
import hashlib
import json
import os
import resource
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from smartnode.catalogue.answer import NOTHING_KNOWN, DownloadError
from smartnode.catalogue.catalogue import Catalogue
from smartnode.catalogue.download import Bounds, Manners, Received, _next, download
from smartnode.catalogue.intake import PORTION_BYTES, Intake
from smartnode.catalogue.partial import CHECKPOINT_BYTES, Partial, claim, sweep
from smartnode.catalogue.store import Store
from smartnode.errors import CatalogueError

QUICK = Bounds(max_bytes=1 << 20, deadline_s=5.0)
HALF = 15_000


def room(tmp_path: Path, *urls: str, **changes: Any) -> Catalogue:
    """Return a room over *urls*; state and cache in *tmp_path*."""
    options: dict[str, Any] = {"allow_unsigned": True, "allow_private": False, "bounds": QUICK} | changes
    return Catalogue(state=tmp_path / "state", cache=tmp_path / "cache", urls=urls, **options)


def partials(tmp_path: Path) -> dict[str, int]:
    """Return what is there of unfinished downloads: suffix to size."""
    return {file.suffix: file.stat().st_size for file in (tmp_path / "state/catalogue").glob("partial-*")}


def of_download(tmp_path: Path) -> set[str]:
    """Return the names that a download may leave."""
    return {f.name for f in (tmp_path / "state/catalogue").iterdir()} - {"lock", "current.json", "polls.json"}


async def cut(catalogue: Catalogue, library: Any, now: datetime, *, after: int = HALF) -> None:
    """Let the server die after so many bytes of the file."""
    library.dies_after = after
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await catalogue.refresh(now=now)


async def test_a_download_is_continued_where_it_ended(tmp_path: Path, library: Any, real: bytes, now: datetime) -> None:
    """The server dies twice; the third try asks for the rest of the very file, another process as well as this one, and
    no byte is sent twice.
    """
    library.file = real
    await cut(room(tmp_path, library.url), library, now)
    assert partials(tmp_path)[".part"] == HALF
    catalogue = room(tmp_path, library.url)
    await cut(catalogue, library, now, after=5000)
    snapshot = await catalogue.refresh(now=now)
    assert snapshot.sha256 == hashlib.sha256(real).hexdigest()
    assert (tmp_path / "state/catalogue/current.parquet").read_bytes() == real
    assert library.answered == [200, 206, 206]
    assert [asked.get("range") for asked in library.asked] == [None, "bytes=15000-", "bytes=20000-"]
    assert [asked.get("if-range") for asked in library.asked] == [None, '"one"', '"one"']
    assert library.sent == len(real)
    assert of_download(tmp_path) == {"current.parquet"}
    await catalogue.refresh(now=now)
    assert library.answered[3:] == [304]


async def test_another_file_is_begun_again(
    tmp_path: Path, library: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """Changed between two tries the server sends it whole, and nothing of the old one is in it."""
    library.file = real
    await cut(room(tmp_path, library.url), library, now)
    library.file, library.etag = other, '"two"'
    snapshot = await room(tmp_path, library.url).refresh(now=now)
    assert snapshot.sha256 == hashlib.sha256(other).hexdigest()
    assert library.answered == [200, 200]
    assert library.asked[1]["if-range"] == '"one"'
    assert of_download(tmp_path) == {"current.parquet"}


async def test_a_file_that_is_too_short_for_the_rest_is_begun_again(
    tmp_path: Path, library: Any, real: bytes, now: datetime
) -> None:
    """416 means that it is not the file that was begun: it is asked for once more, whole, in the same try."""
    library.file = real + bytes(5000)
    await cut(room(tmp_path, library.url), library, now, after=len(real) + 1000)
    library.file = real
    snapshot = await room(tmp_path, library.url).refresh(now=now)
    assert snapshot.sha256 == hashlib.sha256(real).hexdigest()
    assert library.answered == [200, 416, 200]
    assert "range" not in library.asked[2]


async def test_the_stored_file_may_come_back_while_another_one_is_half_there(
    tmp_path: Path, library: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """Both conditions are sent; "unchanged" since the stored file ends the half of the other one."""
    library.file = real
    catalogue = room(tmp_path, library.url)
    first = await catalogue.refresh(now=now)
    library.file, library.etag, library.dies_after = other, '"two"', HALF
    assert await catalogue.refresh(now=now) is first
    assert partials(tmp_path)[".part"] == HALF
    library.file, library.etag = real, '"one"'
    assert await catalogue.refresh(now=now) is first
    assert (library.asked[2]["if-none-match"], library.asked[2]["if-range"]) == ('"one"', '"two"')
    assert library.answered == [200, 200, 304]
    assert partials(tmp_path) == {}


@pytest.mark.parametrize("etag", [None, 'W/"one"', "naked", '""'])
async def test_without_a_strong_tag_nothing_is_kept(
    tmp_path: Path, library: Any, real: bytes, now: datetime, etag: str | None
) -> None:
    """Equal weak tags do not mean equal bytes (RFC 9110, 8.8.1)."""
    library.file, library.etag = real, etag
    await cut(room(tmp_path, library.url), library, now)
    assert of_download(tmp_path) == set()
    await room(tmp_path, library.url).refresh(now=now)
    assert library.answered == [200, 200]
    assert "range" not in library.asked[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Content-Range": "bytes 0-29848/29849"}, "asked for what follows 15000 bytes it sends"),
        ({"Content-Range": "bytes 15001-29848/29849"}, "asked for what follows 15000 bytes it sends"),
        ({"Content-Range": "bytes 15000-14999/29849"}, "asked for what follows 15000 bytes it sends"),
        ({"Content-Range": "bytes 15000-29849/29849"}, "asked for what follows 15000 bytes it sends"),
        ({"Content-Range": "bytes 15000-29848/29850"}, "was 29849 bytes and is 29850 now"),
        ({"Content-Range": "bytes 15000-29000/29849"}, "announces 14849 bytes for"),
        ({"Content-Range": "bytes */29849"}, "comes with the Content-Range"),
        ({"Content-Range": "pages 15000-29848/29849"}, "comes with the Content-Range"),
        ({"Content-Range": ""}, "comes with the Content-Range"),
        ({"ETag": '"two"'}, "the rest has the ETag"),
        ({"ETag": ""}, "the rest has the ETag"),
        ({"Content-Encoding": "gzip"}, "encodes it as 'gzip'"),
        ({"Content-Length": "15000"}, "announces 15000 bytes for"),
    ],
)
async def test_a_rest_that_does_not_fit_is_refused_and_begun_again(
    tmp_path: Path, library: Any, real: bytes, now: datetime, changes: dict[str, str], reason: str
) -> None:
    """A wrong rest spoils nothing: it is one clear failure, and the next try begins anew."""
    library.file = real
    catalogue = room(tmp_path, library.url)
    await cut(catalogue, library, now)
    library.changes = changes
    with pytest.raises(CatalogueError, match=reason):
        await catalogue.refresh(now=now)
    assert partials(tmp_path) == {}
    library.changes = {}
    assert (await catalogue.refresh(now=now)).sha256 == hashlib.sha256(real).hexdigest()
    assert library.answered == [200, 206, 200]


async def test_a_rest_without_end_is_cut_at_what_was_announced(
    tmp_path: Path, origin: Any, real: bytes, now: datetime
) -> None:
    """Without a length the body may go on for ever: it ends at the announced total, and nothing of it is kept."""
    head = b'HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nContent-Range: bytes 15000-29848/29849\r\n\r\n'
    whole = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 29849\r\n\r\n'
    url = origin.serve_raw("/c", whole + real[:HALF])
    catalogue = room(tmp_path, url)
    for _ in range(2):
        origin.serve_raw("/c", whole + real[:HALF])
        with pytest.raises(CatalogueError, match="cannot be fetched"):
            await catalogue.refresh(now=now)
        assert partials(tmp_path)[".part"] == HALF
        origin.serve_raw("/c", head + real[HALF:] + bytes(100_000))
        with pytest.raises(CatalogueError, match="longer than the 29849 bytes that were announced"):
            await catalogue.refresh(now=now)
        assert partials(tmp_path) == {}


async def test_a_shorter_rest_than_asked_is_progress(tmp_path: Path, origin: Any, real: bytes, now: datetime) -> None:
    """A server may send less than the whole rest (RFC 9110, 15.3.7): what fits is kept, and the next try goes on."""
    url = origin.serve_raw("/c", b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 29849\r\n\r\n' + real[:HALF])
    catalogue = room(tmp_path, url)
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await catalogue.refresh(now=now)
    part = {"ETag": '"one"', "Content-Range": "bytes 15000-19999/29849"}
    origin.serve("/c", real[HALF:20_000], "206 Partial Content", **part)
    with pytest.raises(CatalogueError, match="ends after 20000 of 29849 bytes"):
        await catalogue.refresh(now=now)
    part["Content-Range"] = "bytes 20000-29848/*"
    origin.serve("/c", real[20_000:], "206 Partial Content", **part)
    assert (await catalogue.refresh(now=now)).sha256 == hashlib.sha256(real).hexdigest()


async def test_the_limit_counts_the_whole_file(tmp_path: Path, library: Any, real: bytes, now: datetime) -> None:
    """A rest below the limit does not help a file over it; nothing of it is kept."""
    library.file = real
    await cut(room(tmp_path, library.url), library, now)
    narrow = room(tmp_path, library.url, bounds=Bounds(max_bytes=20_000, deadline_s=5.0))
    with pytest.raises(CatalogueError, match="29849 bytes are over the limit of 20000"):
        await narrow.refresh(now=now)
    assert library.answered == [200, 206]
    assert partials(tmp_path) == {}


async def test_the_deadline_keeps_what_came(tmp_path: Path, origin: Any, real: bytes) -> None:
    """A server that stalls costs the deadline of one try; what it sent by then is kept. So does an end of the node."""
    head = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 29849\r\n\r\n'
    url = origin.serve_raw("/c", head + real[:HALF], stall=True)
    manners = Manners(
        bounds=Bounds(max_bytes=1 << 20, deadline_s=0.5), allow_private=True, address=str, head=lambda _: None
    )
    with partial_of(tmp_path, url) as intake, pytest.raises(DownloadError, match=r"longer than 0\.5 s"):
        await download(url, intake, manners=manners)
    with partial_of(tmp_path, url) as intake:
        assert intake.progress is not None
        assert intake.progress.length == HALF
        trying = asyncio.create_task(download(url, intake, manners=manners))
        while len(origin.asked) < 2:
            await asyncio.wait({trying}, timeout=0.01)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
    assert partial_of(tmp_path, url).progress is not None


def partial_of(tmp_path: Path, url: str) -> Partial:
    """Return the partial of *url*, which nobody has."""
    found = claim(tmp_path, url, tmp_path / "whole")
    assert found is not None
    return found


def begun(tmp_path: Path, content: bytes, *, url: str = "u", total: int | None = None) -> Path:
    """Leave the beginning of a file as an interrupted download does; returns its path."""
    with partial_of(tmp_path, url) as intake:
        intake.restart(etag='"one"', total=total)
        intake.take(content)
    (way,) = tmp_path.glob("partial-*.part")
    return way


def test_one_process_has_a_partial(tmp_path: Path) -> None:
    """While one is at it another gets none, and its own place from the store; afterwards it is free."""
    store = Store(tmp_path)
    first, second = store.intake(url="u"), store.intake(url="u")
    assert isinstance(first, Partial)
    assert not isinstance(second, Partial)
    first.restart(etag='"one"')
    first.take(b"x" * 10)
    assert claim(tmp_path / "catalogue", "other", tmp_path / "w") is not None
    second.close()
    first.close()
    with store.intake(url="u") as third:
        assert third.progress is not None
        assert third.progress.length == 10
        third.take(b"y")
        assert third.finish() == hashlib.sha256(b"x" * 10 + b"y").hexdigest()
        assert third.file.read_bytes() == b"x" * 10 + b"y"
        with store.intake(url="u") as fourth:
            assert isinstance(fourth, Partial)
            assert fourth.progress is None
    assert [file.name for file in (tmp_path / "catalogue").glob("*.tmp")] == []


@pytest.mark.parametrize("damage", ["flip", "shorter", "url", "etag", "total", "version", "note", "rubbish", "old"])
def test_a_beginning_that_is_not_certain_is_worth_nothing(tmp_path: Path, damage: str) -> None:
    """Bytes that do not have the digest of the note, a note of another kind, or one of yesterday: all begins anew."""
    way = begun(tmp_path, b"x" * 1000, total=2000)
    note = way.with_suffix(".json")
    known = json.loads(note.read_text())
    match damage:
        case "flip":
            way.write_bytes(b"y" + b"x" * 999)
        case "shorter":
            os.truncate(way, 999)
        case "note":
            note.unlink()
        case "rubbish":
            note.write_text("{")
        case "old":
            os.utime(way, (way.stat().st_mtime - 90_000,) * 2)
        case key:
            wrong = {"url": "v", "etag": 'W/"one"', "total": 5, "version": 2}
            note.write_text(json.dumps(known | {key: wrong[key]}))
    with partial_of(tmp_path, "u") as intake:
        assert intake.progress is None


def test_what_is_beyond_the_note_is_not_believed(tmp_path: Path) -> None:
    """A crash leaves bytes that no note vouches for; they are cut off, and the digest is of what is there."""
    way = begun(tmp_path, b"x" * 1000)
    with way.open("ab") as out:
        out.write(b"rubbish")
    with partial_of(tmp_path, "u") as intake:
        assert way.stat().st_size == 1000
        intake.take(b"end")
        assert intake.finish() == hashlib.sha256(b"x" * 1000 + b"end").hexdigest()


def test_progress_is_noted_while_it_comes(tmp_path: Path) -> None:
    """A process that is killed loses at most one stretch of 16 MiB."""
    intake = partial_of(tmp_path, "u")
    intake.restart(etag='"one"')
    portion = bytes(PORTION_BYTES)
    for _ in range(CHECKPOINT_BYTES // PORTION_BYTES + 1):
        if intake.take(portion):
            intake.write()
    (note,) = tmp_path.glob("partial-*.json")
    assert json.loads(note.read_text())["length"] == CHECKPOINT_BYTES
    intake.forget()
    intake.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_keeps_no_partial(tmp_path: Path) -> None:
    """When bytes or notes cannot be written, what is there goes: a full disk is not kept full."""
    way = begun(tmp_path, b"x" * 1000)
    intake = partial_of(tmp_path, "u")
    read_only = os.open(way, os.O_RDONLY)
    assert intake._out is not None
    os.dup2(read_only, intake._out)
    os.close(read_only)
    intake.take(b"y" * PORTION_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        intake.write()
    intake.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_fills_up_is_one_line_and_left_as_it_was(tmp_path: Path, library: Any) -> None:
    """A write that fails in the middle is a DownloadError, not a traceback, and nothing of it stays on the disk."""
    library.file = bytes(3 << 20)
    manners = Manners(
        bounds=Bounds(max_bytes=4 << 20, deadline_s=20), allow_private=True, address=str, head=lambda _: None
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        with partial_of(tmp_path, library.url) as intake, pytest.raises(DownloadError, match="File too large"):
            await download(library.url, intake, manners=manners)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not os.listdir(tmp_path)  # noqa: PTH208 - one look at a small folder


def test_a_note_that_cannot_be_written_leaves_no_bytes_behind(tmp_path: Path) -> None:
    """Bytes that nothing vouches for would be of no use at the next try: they go at once."""
    intake = partial_of(tmp_path, "u")
    intake.restart(etag='"one"')
    intake.take(b"x" * 1000)
    blocked = intake._note.with_name(f"{intake._note.name}-{os.getpid()}.tmp")
    blocked.mkdir()
    intake.close()
    assert list(tmp_path.iterdir()) == [blocked]


def test_a_secure_address_does_not_lead_to_an_open_one() -> None:
    """A redirect from https to http is refused: what came would be anybody's."""
    down = httpx.Response(302, headers={"Location": "http://other.example/c"})
    with pytest.raises(DownloadError, match="redirects from https to 'http://other"):
        _next(down, "https://one.example/c")
    assert _next(down, "http://one.example/c") == "http://other.example/c"
    assert _next(httpx.Response(302, headers={"Location": "d"}), "https://one.example/c") == "https://one.example/d"


def test_only_what_nobody_has_is_swept(tmp_path: Path) -> None:
    """A partial goes a day after its last byte, not one that is young or in use."""
    old, young = begun(tmp_path, b"x" * 100, url="old"), None
    os.utime(old, (old.stat().st_mtime - 90_000,) * 2)
    holder = partial_of(tmp_path, "young")
    holder.restart(etag='"one"')
    sweep(tmp_path)
    young = {file.name for file in tmp_path.iterdir()}
    assert old.name not in young
    assert old.with_suffix(".json").name not in young
    assert len(young) == 1
    (way,) = tmp_path.glob("partial-*.part")
    os.utime(way, (way.stat().st_mtime - 90_000,) * 2)
    sweep(tmp_path)
    assert way.exists()
    holder.close()


def test_a_closed_intake_waits_for_its_writer(tmp_path: Path) -> None:
    """A cancelled caller closes while its thread still writes: the file is never closed under it."""
    intake = Intake(tmp_path / "f")
    intake.restart()
    intake.take(bytes(1 << 20))
    with intake._one_at_a_time:
        closing = threading.Thread(target=intake.close)
        closing.start()
        intake.write()
        assert closing.is_alive()
    closing.join(10)
    assert not (tmp_path / "f").exists()


async def test_a_file_without_a_digest_to_come_is_still_whole(tmp_path: Path, library: Any) -> None:
    """A plain intake has the same laws without resuming: whole and durable, or gone."""
    library.file = bytes(range(256)) * 4000
    manners = Manners(bounds=QUICK, allow_private=True, address=str, head=lambda _: None)
    with Intake(tmp_path / "f") as intake:
        received = await download(library.url, intake, manners=manners)
        assert isinstance(received, Received)
        assert received.sha256 == hashlib.sha256(library.file).hexdigest()
        assert (tmp_path / "f").read_bytes() == library.file
    library.dies_after = 100
    with Intake(tmp_path / "f") as intake, pytest.raises(DownloadError):
        await download(library.url, intake, manners=manners, known=NOTHING_KNOWN)
    assert not os.listdir(tmp_path)  # noqa: PTH208 - one look at a small folder
