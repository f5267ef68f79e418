"""The catalogue room: the first acceptable source wins, the last good snapshot stays, unsigned needs a word."""

import hashlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.catalogue.catalogue import Catalogue
from smartnode.catalogue.download import Bounds
from smartnode.catalogue.inspect import inspect
from smartnode.catalogue.intake import Intake
from smartnode.catalogue.source import fetch, without_user
from smartnode.catalogue.store import Note, Store
from smartnode.errors import CatalogueError, ExitCode

QUICK = Bounds(max_bytes=1 << 20, deadline_s=1.0)


def room(tmp_path: Path, *urls: str, **changes: Any) -> Catalogue:
    """Return a room over *urls*; state and cache in *tmp_path*."""
    options: dict[str, Any] = {"allow_unsigned": True, "allow_private": False, "bounds": QUICK} | changes
    return Catalogue(state=tmp_path / "state", cache=tmp_path / "cache", urls=urls, **options)


def stored(tmp_path: Path, raw: bytes, now: datetime) -> Note:
    """Put *raw* into the store as an earlier run accepted it."""
    store = Store(tmp_path / "state")
    file = store.intake().file
    file.write_bytes(raw)
    return store.accept(file, sha256=hashlib.sha256(raw).hexdigest(), source="earlier", now=now)


def temporaries(tmp_path: Path) -> list[Path]:
    """Return what was left behind half-made."""
    return [*tmp_path.rglob("*.tmp"), *tmp_path.rglob("partial-*")]


def everything(tmp_path: Path) -> set[Path]:
    """Return all that is there."""
    return set(tmp_path.rglob("*"))


async def test_unsigned_needs_a_word(tmp_path: Path, data: Path, now: datetime) -> None:
    """Without allow_unsigned nothing is used, stored or not, and the error names the key; exit 3."""
    path = str(data / "catalogue-rustac.parquet")
    stored(tmp_path, (data / "catalogue-rustac.parquet").read_bytes(), now)
    refusing = room(tmp_path, path, allow_unsigned=False)
    for call in (refusing.refresh(now=now), refusing.load()):
        with pytest.raises(CatalogueError, match=r"set catalogue\.allow_unsigned = true") as caught:
            await call
        assert caught.value.exit_code is ExitCode.CATALOGUE_REFUSED
    assert refusing.current() is None


@pytest.mark.parametrize("kind", ["path", "file", "http", "redirect", "no length"])
async def test_every_kind_of_source_is_taken(
    tmp_path: Path, data: Path, origin: Any, real: bytes, now: datetime, kind: str
) -> None:
    """A path, a file: URL and http with and without redirects and length give the same snapshot."""
    path = data / "catalogue-rustac.parquet"
    origin.serve("/c", real)
    raw = origin.serve_raw("/n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + real)
    urls = {"path": str(path), "file": path.absolute().as_uri(), "http": origin.url + "/c", "no length": raw}
    urls["redirect"] = origin.serve("/r", b"", "302 Found", Location="/c")
    catalogue = room(tmp_path, urls[kind])
    assert catalogue.current() is None
    snapshot = await catalogue.refresh(now=now)
    assert (snapshot.good, snapshot.with_torrent, snapshot.seq, snapshot.verified) == (11, 9, None, False)
    assert (snapshot.accepted_at, snapshot.source) == (now, urls[kind])
    assert catalogue.current() is snapshot
    assert catalogue.degraded() == ()
    assert (tmp_path / "state/catalogue/current.parquet").read_bytes() == real
    assert not temporaries(tmp_path)
    assert all(b"accept-encoding: identity" in head.lower() for head in origin.heads)


async def test_the_snapshot_outlives_the_process_and_the_network(
    tmp_path: Path, origin: Any, real: bytes, now: datetime
) -> None:
    """What was accepted is read again at the next start without asking anybody."""
    url = origin.serve("/c", real)
    first = await room(tmp_path, url).refresh(now=now)
    origin.asked.clear()
    again = room(tmp_path, url)
    assert await again.load() == first
    assert again.current() == first
    assert origin.asked == []
    note = json.loads((tmp_path / "state/catalogue/current.json").read_text())
    assert note == {"version": 1, "sha256": first.sha256, "source": url, "accepted_at": now.isoformat(), "seq": None}


async def test_an_unchanged_file_is_not_swapped_again(
    tmp_path: Path, origin: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """The same bytes keep file, time and snapshot; other bytes replace them."""
    url = origin.serve("/c", real)
    catalogue = room(tmp_path, url)
    first = await catalogue.refresh(now=now)
    inode = (tmp_path / "state/catalogue/current.parquet").stat().st_ino
    assert await catalogue.refresh(now=now + timedelta(hours=1)) is first
    assert (tmp_path / "state/catalogue/current.parquet").stat().st_ino == inode
    origin.serve("/c", other)
    third = await catalogue.refresh(now=now + timedelta(hours=2))
    assert third.accepted_at == now + timedelta(hours=2)
    assert third.sha256 != first.sha256


HTML = b"<!DOCTYPE html><html><body>503</body></html>"
BAD: dict[str, tuple[bytes, str]] = {
    "html": (b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n" + HTML, "an HTML or XML page"),
    "json": (b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"type":"catalogue"}', "JSON text"),
    "gzip": (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n\x1f\x8b" + bytes(18), "a gzip file"),
    "other": (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + bytes(20), "a file of another kind"),
    "locked": (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nPARE" + bytes(16), "an encrypted Parquet file"),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "an empty file"),
    "stub": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nPAR1", "cut off after 4 bytes"),
    "missing": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
    "partial": (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nPAR1", "206 Partial Content"),
    "encoded": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nPAR1", "encodes it as 'gzip'"),
    "huge": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nPAR1", "over the limit of 1048576"),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\nPAR1" + bytes(2 << 20), "over the limit of 1048576"),
    "no http": (b"hello", "cannot be fetched"),
    "loop": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /loop\r\n\r\n", "redirects more than 5 times"),
    "elsewhere": (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: file:///etc/passwd\r\n\r\n",
        "neither http nor",
    ),
    "nowhere": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: :http://[\r\n\r\n", "Invalid IPv6 URL"),
    "footer": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\nPAR1" + bytes(12) + b"\xff\xff\xff\xffPAR1",
        "does not fit",
    ),
}


async def test_the_last_good_snapshot_stays(
    tmp_path: Path, data: Path, origin: Any, real: bytes, now: datetime
) -> None:
    """Whatever the source serves instead, the snapshot in use stays, degraded says why, and a fresh node exits 3."""
    length = b"HTTP/1.1 200 OK\r\nContent-Length: 29849\r\n\r\n"
    useless = (data / "malformed/no_id.parquet").read_bytes()
    cases = BAD | {
        "cut": (length + real[:20000], "cannot be fetched"),
        "cut silently": (b"HTTP/1.1 200 OK\r\n\r\n" + real[:20000], "cut off after 20000 bytes"),
        "useless": (b"HTTP/1.1 200 OK\r\n\r\n" + useless, "none of its 11 rows can be used, the first because its id"),
        "stall": (length + real[:20000], "longer than 1 s"),
    }
    first = stored(tmp_path, real, now)
    catalogue = room(tmp_path, origin.url + "/loop")
    for name, (response, reason) in cases.items():
        origin.serve_raw("/loop", response, stall=name == "stall")
        snapshot = await catalogue.refresh(now=now + timedelta(days=1))
        assert (snapshot.sha256, snapshot.accepted_at, snapshot.good) == (first.sha256, now, 11), name
        (line,) = catalogue.degraded()
        assert line.startswith("catalogue: "), name
        assert reason in line, name
        assert "\n" not in line, name
    assert not temporaries(tmp_path)


async def test_a_fresh_node_without_a_good_source_is_refused(tmp_path: Path, origin: Any, now: datetime) -> None:
    """Where there never was a snapshot the refusal names every source's reason; exit 3."""
    html = origin.serve_raw("/html", BAD["html"][0])
    catalogue = room(tmp_path, html, "http://127.0.0.1:1/c")
    with pytest.raises(CatalogueError, match=r"HTML.*127\.0\.0\.1:1/c cannot be fetched") as caught:
        await catalogue.refresh(now=now)
    assert caught.value.exit_code is ExitCode.CATALOGUE_REFUSED
    assert len(catalogue.degraded()) == 2
    assert catalogue.current() is None
    assert not temporaries(tmp_path)


async def test_the_first_acceptable_source_wins(
    tmp_path: Path, origin: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """Sources are asked in order; one that answers is enough, and then nothing is degraded."""
    good, late = origin.serve("/good", real), origin.serve("/late", other)
    catalogue = room(tmp_path, origin.url + "/missing", good, late)
    assert (await catalogue.refresh(now=now)).source == good
    assert catalogue.degraded() == ()
    assert "/late" not in origin.asked


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("magnet:?xt=urn:btih:00", "not supported yet"),
        ("s3://bucket/key", "s3 addresses are not supported"),
        ("file://elsewhere/x", "not the address of a local file"),
        ("/no/such/file", "cannot be read: No such file"),
        ("/dev/zero", "is not a file"),
        ("/", "cannot be read"),
        ("a\x00b", "cannot be read"),
        ("http://", "cannot be fetched"),
        ("http://a..b/", "cannot be fetched"),
    ],
)
async def test_other_sources_are_refused_with_a_cure(tmp_path: Path, now: datetime, source: str, reason: str) -> None:
    """What cannot be a source is a CatalogueError, for the daemon and for inspect alike."""
    with pytest.raises(CatalogueError, match=reason):
        await room(tmp_path, source).refresh(now=now)
    with pytest.raises(CatalogueError, match=reason):
        await inspect(source, now=now)


async def test_no_source_at_all(tmp_path: Path, now: datetime) -> None:
    """Without urls a stored snapshot still serves; without both the error names the key."""
    with pytest.raises(CatalogueError, match=r"set catalogue\.urls"):
        await room(tmp_path).refresh(now=now)
    assert await room(tmp_path).load() is None


async def test_a_fifo_does_not_hang_and_a_large_file_is_bounded(tmp_path: Path, real: bytes) -> None:
    """A path may be anything: only a regular file within the limit is read."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CatalogueError, match="is not a file"):
        await fetch(str(tmp_path / "fifo"), Intake(tmp_path / "to"))
    (tmp_path / "large").write_bytes(real)
    with pytest.raises(CatalogueError, match="over the limit of 5 bytes"):
        await fetch(str(tmp_path / "large"), Intake(tmp_path / "to"), bounds=Bounds(max_bytes=5, deadline_s=1))


@pytest.mark.parametrize("damage", ["flip", "truncate", "note", "version", "naive", "gone"])
async def test_a_damaged_store_is_said_and_replaced(
    tmp_path: Path, origin: Any, real: bytes, now: datetime, damage: str
) -> None:
    """A stored file that is not what its note says is not used; the node goes on as if there were none."""
    url = origin.serve("/c", real)
    stored(tmp_path, real, now)
    folder = tmp_path / "state/catalogue"
    file, note = folder / "current.parquet", folder / "current.json"
    match damage:
        case "flip":
            file.write_bytes(real[:500] + b"\x00" + real[501:])
        case "truncate":
            file.write_bytes(real[:500])
        case "note":
            note.write_text("{")
        case "version":
            note.write_text(note.read_text().replace('"version": 1', '"version": 2'))
        case "naive":
            note.write_text(note.read_text().replace("+00:00", ""))
        case _:
            note.unlink()
    catalogue = room(tmp_path, url)
    assert await catalogue.load() is None
    (line,) = catalogue.degraded()
    assert "damaged" in line
    later = now + timedelta(hours=1)
    assert (await catalogue.refresh(now=later)).accepted_at == later
    assert catalogue.degraded() == ()
    repaired = Store(tmp_path / "state").current()
    assert repaired is not None
    assert repaired.accepted_at == later


async def test_damage_while_running_is_repaired(tmp_path: Path, origin: Any, real: bytes, now: datetime) -> None:
    """The snapshot in memory goes on; the same bytes from the source are stored again."""
    url = origin.serve("/c", real)
    catalogue = room(tmp_path, url)
    first = await catalogue.refresh(now=now)
    (tmp_path / "state/catalogue/current.parquet").unlink()
    assert (await catalogue.refresh(now=now)).items == first.items
    assert (tmp_path / "state/catalogue/current.parquet").read_bytes() == real


def test_a_crash_between_the_renames_loses_nothing(tmp_path: Path, real: bytes, other: bytes, now: datetime) -> None:
    """The file is renamed before its note: the note on its way in fits the new file, the old one the old file."""
    first = stored(tmp_path, real, now)
    folder, store = tmp_path / "state/catalogue", Store(tmp_path / "state")
    old_note = (folder / "current.json").read_bytes()
    second = stored(tmp_path, other, now)
    (folder / "current.json").rename(folder / "next.json")
    (folder / "current.json").write_bytes(old_note)
    assert store.current() == second
    (folder / "current.parquet").write_bytes(real)
    assert store.current() == first


def test_a_note_that_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, real: bytes, other: bytes, now: datetime
) -> None:
    """The note comes first: where it fails, nothing was swapped; where the last rename fails, the new file is known."""
    first = stored(tmp_path, real, now)
    folder, store = tmp_path / "state/catalogue", Store(tmp_path / "state")
    (folder / "next.json").mkdir()
    with pytest.raises(CatalogueError, match="cannot be stored"):
        stored(tmp_path, other, now)
    assert store.current() == first
    (folder / "next.json").rmdir()
    (folder / "current.json").unlink()
    (folder / "current.json").mkdir()
    with pytest.raises(CatalogueError, match="cannot be stored"):
        stored(tmp_path, other, now)
    note = store.current()
    assert note is not None
    assert note.sha256 != first.sha256


async def test_a_large_catalogue_rotates(tmp_path: Path, now: datetime) -> None:
    """Only a catalogue over the cap is read again for another slice; the held torrent is in every one."""
    hashes = [f"{n:040x}" for n in range(40)]
    file = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": hashes, "torrent:info_hash": hashes, "torrent:size": [5] * 40}), file)
    catalogue = room(tmp_path, str(file), cap=10)
    held = frozenset({hashes[7]})
    first = await catalogue.refresh(now=now, held=held, slice_number=0)
    second = await catalogue.load(held=held, slice_number=1)
    assert second is not None
    both = {item.key.id for item in first.items} & {item.key.id for item in second.items}
    assert both == {hashes[7]}
    assert (second.good, second.sha256, second.accepted_at) == (40, first.sha256, first.accepted_at)
    whole = room(tmp_path, str(file))
    snapshot = await whole.load()
    assert await whole.load(slice_number=1) is snapshot


async def test_a_state_that_cannot_be_written_is_a_refusal(tmp_path: Path, data: Path, now: datetime) -> None:
    """A storage fault names the folder; it is no traceback."""
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(CatalogueError, match="state"):
        await room(tmp_path, str(data / "catalogue-rustac.parquet")).refresh(now=now)


def test_leftovers_of_dead_processes_go(tmp_path: Path) -> None:
    """Only temporary files older than a day are removed."""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    for name, age in (("old.tmp", 100_000), ("young.tmp", 10)):
        (folder / name).touch()
        past = (folder / name).stat().st_mtime - age
        os.utime(folder / name, (past, past))
    Store(tmp_path).intake()
    assert [file.name for file in folder.iterdir()] == ["young.tmp"]


async def test_inspect_keeps_nothing_and_needs_no_word(
    tmp_path: Path, origin: Any, data: Path, real: bytes, now: datetime
) -> None:
    """Inspect reads a path or an address as the daemon would, counts everything and leaves no file."""
    before = everything(tmp_path)
    found = await inspect(origin.serve("/c", real), now=now)
    assert (found.good, found.with_torrent, found.verified) == (11, 9, False)
    evil = await inspect(str(data / "malformed/href_evil.parquet"), now=now)
    assert (evil.good, evil.rejected_total) == (2, 9)
    assert (await inspect(str(data / "malformed/href_evil.parquet"), now=now, allow_private=True)).good == 4
    assert everything(tmp_path) == before


def test_passwords_are_not_shown() -> None:
    """The source that is shown and stored names no user."""
    assert without_user("https://me:secret@host.example:81/c?x=1") == "https://host.example:81/c?x=1"
    assert without_user("/a/b@c") == "/a/b@c"
