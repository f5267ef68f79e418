"""A poll that finds nothing new costs one small answer and no reading; a source's word counts for its own file only."""

import asyncio
import json
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.catalogue import polls
from smartnode.catalogue.answer import Validators
from smartnode.catalogue.catalogue import Catalogue
from smartnode.catalogue.download import Bounds
from smartnode.catalogue.store import Store
from smartnode.errors import CatalogueError

TIME = "Sun, 22 Nov 2026 12:00:00 GMT"


def room(tmp_path: Path, *urls: str, **changes: Any) -> Catalogue:
    """Return a room over *urls*; state and cache in *tmp_path*."""
    options: dict[str, Any] = {"allow_unsigned": True, "allow_private": False}
    options |= {"bounds": Bounds(max_bytes=1 << 20, deadline_s=5.0)} | changes
    return Catalogue(state=tmp_path / "state", cache=tmp_path / "cache", urls=urls, **options)


def children() -> float:
    """Return the processor time of this process's ended children: any reading adds to it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(("etag", "modified"), [('"one"', None), ('W/"one"', TIME), (None, TIME), ("naked", None)])
async def test_an_unchanged_poll_is_one_request_and_no_reading(
    tmp_path: Path, library: Any, real: bytes, now: datetime, etag: str | None, modified: str | None
) -> None:
    """Both validators go back as they were received; "unchanged" starts no child and hashes nothing."""
    library.file, library.etag, library.modified = real, etag, modified
    catalogue = room(tmp_path, library.url)
    first = await catalogue.refresh(now=now)
    used = children()
    stored = tmp_path / "state/catalogue/current.parquet"
    os.utime(stored.parent / "polls.json", ns=(0, 0))
    for hour in (1, 2):
        assert await catalogue.refresh(now=now + timedelta(hours=hour)) is first
    assert children() == used
    assert library.answered == [200, 304, 304]
    assert "if-none-match" not in library.asked[0]
    assert [asked.get("if-none-match") for asked in library.asked[1:]] == [etag] * 2
    assert [asked.get("if-modified-since") for asked in library.asked[1:]] == [modified] * 2
    assert (stored.parent / "polls.json").stat().st_mtime_ns == 0
    assert catalogue.degraded() == ()


async def test_the_word_of_a_source_outlives_the_process(
    tmp_path: Path, library: Any, real: bytes, now: datetime
) -> None:
    """The next process reads the stored file once and asks on condition at once."""
    library.file = real
    first = await room(tmp_path, library.url).refresh(now=now)
    again = room(tmp_path, library.url)
    assert await again.refresh(now=now) == first
    used = children()
    await again.load()
    await again.refresh(now=now)
    assert children() == used
    assert library.answered == [200, 304, 304]


async def test_an_unchanged_file_without_validators_is_not_read(
    tmp_path: Path, library: Any, real: bytes, now: datetime
) -> None:
    """The same bytes again are known by their digest: fetched, not parsed, not swapped."""
    library.file, library.etag = real, None
    catalogue = room(tmp_path, library.url)
    first = await catalogue.refresh(now=now)
    used = children()
    inode = (tmp_path / "state/catalogue/current.parquet").stat().st_ino
    assert await catalogue.refresh(now=now) is first
    assert children() == used
    assert (tmp_path / "state/catalogue/current.parquet").stat().st_ino == inode
    assert library.answered == [200, 200]


async def test_a_changed_file_is_taken_and_asked_for_by_its_own_tag(
    tmp_path: Path, library: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """The tag of the old file is asked for once more, that of the new one from then on."""
    library.file = real
    catalogue = room(tmp_path, library.url)
    first = await catalogue.refresh(now=now)
    library.file, library.etag = other, '"two"'
    second = await catalogue.refresh(now=now)
    assert second.sha256 != first.sha256
    assert await catalogue.refresh(now=now) is second
    assert library.answered == [200, 200, 304]
    assert [asked.get("if-none-match") for asked in library.asked] == [None, '"one"', '"two"']


async def test_a_tag_counts_only_for_the_file_that_is_stored(
    tmp_path: Path, library: Any, real: bytes, other: bytes, now: datetime
) -> None:
    """When another process swapped the file, or it is gone, nothing is asked on the old condition."""
    library.file = real
    catalogue = room(tmp_path, library.url)
    first = await catalogue.refresh(now=now)
    plan = tmp_path / "other.parquet"
    plan.write_bytes(other)
    swapped = await room(tmp_path, str(plan)).refresh(now=now)
    assert await catalogue.load() == swapped
    assert (await catalogue.refresh(now=now)).sha256 == first.sha256
    (tmp_path / "state/catalogue/current.parquet").unlink()
    assert (await catalogue.refresh(now=now)).items == first.items
    assert library.answered == [200, 200, 200]
    assert all("if-none-match" not in asked for asked in library.asked)


async def test_each_source_is_known_by_its_own_word(
    tmp_path: Path, library: Any, origin: Any, real: bytes, now: datetime
) -> None:
    """A second source of the same bytes gets its own condition, once it said something; the first is asked first."""
    library.file = real
    broken = origin.serve("/c", b"", "503 Service Unavailable")
    catalogue = room(tmp_path, origin.url + "/c", library.url)
    await catalogue.refresh(now=now)
    origin.serve("/c", real, ETag='"origin"')
    await catalogue.refresh(now=now)
    origin.serve("/c", b"", "503 Service Unavailable")
    await catalogue.refresh(now=now)
    assert library.answered == [200, 304]
    assert b'if-none-match: "origin"' in origin.heads[2].lower()
    said = json.loads((tmp_path / "state/catalogue/polls.json").read_text())["sources"]
    assert said == {
        broken: {"etag": '"origin"', "last_modified": None},
        library.url: {"etag": '"one"', "last_modified": None},
    }


async def test_unchanged_is_believed_only_where_it_was_asked(
    tmp_path: Path, origin: Any, real: bytes, now: datetime
) -> None:
    """304 without a condition is a failure: a fresh node has no catalogue, another keeps its own; so is 206."""
    never = origin.serve_raw("/c", b"HTTP/1.1 304 Not Modified\r\n\r\n")
    with pytest.raises(CatalogueError, match="304 Not Modified although nothing was asked for on that condition"):
        await room(tmp_path, never).refresh(now=now)
    good = origin.serve("/c", real)
    catalogue = room(tmp_path, good)
    first = await catalogue.refresh(now=now)
    for status in ("304 Not Modified", "206 Partial Content", "300 Multiple Choices"):
        origin.serve("/c", b"", status)
        assert await catalogue.refresh(now=now) is first
        (line,) = catalogue.degraded()
        assert f"answers {status}" in line


async def test_a_large_catalogue_shows_its_next_slice_though_nothing_changed(
    tmp_path: Path, library: Any, now: datetime
) -> None:
    """Over the cap each refresh reads the wanted slice from the disk, and only one that is not in view."""
    hashes = [f"{n:040x}" for n in range(40)]
    file = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": hashes, "torrent:info_hash": hashes, "torrent:size": [5] * 40}), file)
    library.file = file.read_bytes()
    catalogue = room(tmp_path, library.url, cap=10)
    seen = []
    for number in range(4):
        seen += [item.key.id for item in (await catalogue.refresh(now=now, slice_number=number)).items]
    assert sorted(seen) == hashes
    used = children()
    await catalogue.refresh(now=now, slice_number=3)
    assert children() == used
    assert library.answered == [200, 304, 304, 304, 304]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta(seconds=1)),
        ("999999", timedelta(hours=1)),
        ("Mon, 23 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("later", None),
        (None, None),
    ],
)
async def test_a_busy_source_is_heard(
    tmp_path: Path, origin: Any, now: datetime, header: str | None, expected: timedelta | None
) -> None:
    """429 and 503 with a Retry-After give a wait of 1 s to 1 h, in seconds or as a date; unreadable is no word."""
    for status in ("429 Too Many Requests", "503 Service Unavailable"):
        url = origin.serve("/c", b"", status, **({} if header is None else {"Retry-After": header}))
        catalogue = room(tmp_path, url)
        assert catalogue.retry_after() is None
        with pytest.raises(CatalogueError, match=status[:3]):
            await catalogue.refresh(now=now)
        assert catalogue.retry_after() == expected


async def test_the_longest_wait_counts_and_is_forgotten_at_the_next_refresh(
    tmp_path: Path, origin: Any, real: bytes, now: datetime
) -> None:
    """Of several busy sources the longest is told; other answers carry the header in vain."""
    urls = [
        origin.serve("/a", b"", "503 Busy", Retry_After="30"),
        origin.serve("/b", b"", "429 Busy", Retry_After="90"),
        origin.serve("/c", b"", "404 Gone", Retry_After="3000"),
        origin.serve("/d", real, Retry_After="3000"),
    ]
    catalogue = room(tmp_path, *urls)
    await catalogue.refresh(now=now)
    assert catalogue.retry_after() == timedelta(seconds=90)
    origin.serve("/a", real)
    await catalogue.refresh(now=now)
    assert catalogue.retry_after() is None


async def test_two_processes_and_one_store(tmp_path: Path, library: Any, real: bytes, now: datetime) -> None:
    """Two rooms over one state refresh at once: both end with the file, and nothing is left half-made."""
    library.file = real
    one, two = room(tmp_path, library.url), room(tmp_path, library.url)
    first, second = await asyncio.gather(one.refresh(now=now), two.refresh(now=now))
    assert first.sha256 == second.sha256
    names = {file.name for file in (tmp_path / "state/catalogue").iterdir()}
    assert names == {"current.parquet", "current.json", "polls.json", "lock"}
    assert Store(tmp_path / "state").current() is not None


def test_what_is_remembered_is_bounded_and_of_one_file(tmp_path: Path) -> None:
    """At most 32 sources, the newest; another file's word is replaced; saying nothing forgets."""
    path = tmp_path / "polls.json"
    for number in range(40):
        polls.note(path, f"s{number}", Validators(etag=f'"{number}"'), sha256="a")
    known = polls.read(path, sha256="a")
    assert list(known) == [f"s{number}" for number in range(8, 40)]
    assert polls.read(path, sha256="b") == {}
    polls.note(path, "s39", Validators(), sha256="a")
    assert "s39" not in polls.read(path, sha256="a")
    polls.note(path, "x", Validators(last_modified=TIME), sha256="b")
    assert polls.read(path, sha256="b") == {"x": Validators(last_modified=TIME)}
    assert polls.read(path, sha256="a") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "sha256": "a", "sources": {"s": {"etag": "x", "last_modified": null}}}',
        '{"version": 1, "sha256": "a", "sources": []}',
        '{"version": 1, "sha256": "a", "sources": {"s": {"etag": 5, "last_modified": null}}}',
        '{"version": 1, "sha256": "a", "sources": {"s": "x"}}',
        "[" * 200_000,
        " " * 300_000,
    ],
)
def test_a_damaged_note_of_polls_is_no_word(tmp_path: Path, text: str) -> None:
    """Whatever stands there, the worst is a poll without a condition."""
    path = tmp_path / "polls.json"
    path.write_text(text)
    assert polls.read(path, sha256="a") == {}


async def test_each_poll_tells_what_the_sources_clock_shows(
    tmp_path: Path, library: Any, real: bytes, now: datetime
) -> None:
    """Whole answers and "unchanged" alike are heard; an answer without a Date says nothing."""
    library.file, library.etag = real, '"one"'
    heard: list[datetime] = []
    catalogue = room(tmp_path, library.url, heard=heard.append)
    for told in ({"Date": TIME}, {"Date": TIME, "Age": "90"}, {}):
        library.changes = told
        await catalogue.refresh(now=now)
    assert library.answered == [200, 304, 304]
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert heard == [noon, noon + timedelta(seconds=90)]
