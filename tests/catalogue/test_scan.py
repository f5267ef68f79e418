"""The sandbox is closed, the reading process is confined, and what it says is not believed blindly."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.catalogue import footer, read, scan
from smartnode.catalogue.selection import Picker, Selection
from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.errors import CatalogueError

LIMITS = """
import json, resource, sys
from smartnode.catalogue.child import confine
confine(cpu_s=7)
names = ("AS", "CORE", "CPU", "FSIZE", "NOFILE")
print(json.dumps({name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names}))
"""


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('../data/catalogue-rustac.parquet')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'out.db'",
        "INSTALL spatial",
        "LOAD spatial",
        "SET enable_external_access = true",
        "SET threads = 4",
    ],
)
def test_the_sandbox_reads_one_file_and_nothing_else(data: Path, statement: str) -> None:
    """Other files, the network, writing, extensions and settings are all denied; the one file is not."""
    file = str(data / "catalogue-rustac.parquet")
    with scan.sandbox(file) as connection:
        assert connection.execute("SELECT count(*) FROM read_parquet(?)", [file]).fetchone() == (11,)
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_the_reading_process_is_confined() -> None:
    """Memory, processor time, files and core dumps are bounded for the rest of its life."""
    done = subprocess.run([sys.executable, "-c", LIMITS], capture_output=True, check=True, timeout=30)
    limits = json.loads(done.stdout)
    assert limits == {
        "AS": [900 << 20] * 2,
        "CORE": [0, 0],
        "CPU": [7, 9],
        "FSIZE": [16 << 20] * 2,
        "NOFILE": [64, 64],
    }


ITEM = {"item": 0, "raw": {"id": "x"}}
END = {"end": {"rows": 1, "good": 1, "with_torrent": 0, "deprecated": 0, "rejected": 0}}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([{"item": 0, "raw": {"id": ".."}}, END], "took row 0, which id could leave its folder"),
        ([{"hello": 1}], "outside its protocol"),
        ([[1]], "outside its protocol"),
        ([ITEM, ITEM | {"item": 1}, END], "lost count"),
        ([{"end": {"rows": 2, "good": 1, "rejected": 0}}], "lost count"),
        ([{"end": {}}], "lost count"),
        ([{"refused": "it is torn"}], "it is torn"),
    ],
)
def test_what_the_child_says_is_checked(lines: list[Any], reason: str) -> None:
    """A child that was taken over can at most make the file be refused."""
    answer = read._Answer()
    with pytest.raises(CatalogueError, match=reason):
        _hear(answer, lines)


def _hear(answer: read._Answer, lines: list[Any]) -> None:
    for line in lines:
        read._note(answer, line, allow_private=False)
    read._reading(answer)


def test_more_rejections_than_the_bound_are_not_kept() -> None:
    """The list stays bounded whatever the child sends."""
    answer = read._Answer()
    for row in range(1005):
        read._note(answer, {"rejected": row, "id": None, "reason": "r"}, allow_private=False)
    assert len(answer.rejected) == 1000


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"no json\n", "outside its protocol"),
        (b"x" * 2000 + b"\n", "one row is over"),
        (b'{"a":1}\n{"b', None),
    ],
)
async def test_lines_are_bounded_and_whole(raw: bytes, reason: str | None) -> None:
    """A line that is too long or no JSON refuses the file; half a line at the end is left to the exit code."""
    stream = asyncio.StreamReader(limit=1000)
    stream.feed_data(raw)
    stream.feed_eof()
    if reason is None:
        assert [line async for line in read._lines(stream)] == [{"a": 1}]
    else:
        with pytest.raises(CatalogueError, match=reason):
            _ = [line async for line in read._lines(stream)]


def test_too_many_rows_are_refused_even_when_the_footer_denies_them(data: Path) -> None:
    """The rows are counted while they are read."""
    file = data / "catalogue-rustac.parquet"
    request = scan.Request(name=str(file), size=29849, selection=Selection(), allow_private=False, max_rows=5)
    with pytest.raises(ValueError, match="more than 5 rows"):
        scan.scan(request, lambda _: None)


def test_columns_that_expand_beyond_the_limit_are_refused(data: Path) -> None:
    """The sum of what would be read is bounded, whatever each column does."""
    file = str(data / "catalogue-rustac.parquet")
    with scan.sandbox(file) as connection, pytest.raises(ValueError, match="expand to"):
        footer.check_chunks(connection, file, rows=11, read=("id",), max_bytes=100)


def test_a_footer_over_the_limit_is_refused(tmp_path: Path) -> None:
    """64 MiB of footer are read by nobody."""
    file = tmp_path / "x.parquet"
    with file.open("wb") as out:
        out.write(b"PAR1")
        out.truncate(70 << 20)
        out.seek(0, 2)
        out.write((65 << 20).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(CatalogueError, match="over the limit of 67108864"):
        footer.check_ends(file)


def test_a_file_without_any_column_we_know_has_rows_without_ids(tmp_path: Path) -> None:
    """Parquet of something else is read, and each row lacks its id."""
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"size": [1, 2], "bbox": ["a", "b"]}), file)
    lines: list[dict[str, Any]] = []
    request = scan.Request(name=str(file), size=file.stat().st_size, selection=Selection(), allow_private=False)
    scan.scan(request, lines.append)
    assert [line.get("reason") for line in lines] == ["id is missing", "id is missing", None]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": {"href": "x", "more": 1}, "b": 5}', ("assets", "data", "alternate"), {"a": {"href": "x"}}),
        ('{"href": 1, "big": [1]}', ("assets", "torrent"), {"href": 1}),
        ('{"href": 1, "alternate": {}}', ("assets", "data"), {"href": 1, "alternate": None}),
        ("null", ("assets",), None),
        ("7", ("assets",), "7"),
        ('{"data": null, "torrent": 5}', ("assets",), {"torrent": "int"}),
    ],
)
def test_json_is_trimmed_to_what_is_read(text: str, path: tuple[str, ...], expected: object) -> None:
    """Nothing but the fields of the profile leaves the reading process."""
    assert scan.trimmed(text, path) == expected


def _item(number: int) -> Item:
    torrent = Torrent(
        info_hash=InfoHash(f"{number:040x}"),
        info_hash_v1=f"{number:040x}",
        info_hash_v2=None,
        size=Bytes(1),
        piece_length=None,
        name=None,
        metainfo_url=None,
    )
    return Item(key=ItemKey(collection="c", id=str(number)), torrent=torrent)


@settings(deadline=None)
@given(
    rows=st.integers(0, 60),
    cap=st.integers(1, 50),
    held=st.frozensets(st.integers(0, 60), max_size=20),
    start=st.integers(0, 10**6),
)
def test_selection_laws(rows: int, cap: int, held: frozenset[int], start: int) -> None:
    """Held torrents always come along, every other within slices() numbers, never more than the cap of each kind."""
    hashes = frozenset(InfoHash(f"{number:040x}") for number in held)
    seen: set[int] = set()
    slices = Selection(cap=cap).slices(rows)
    assert slices & (slices - 1) == 0
    for number in range(start, start + slices):
        picker = Picker(Selection(cap=cap, held=hashes, slice_number=number), rows)
        picked = {n for n in range(rows) if picker.picks(_item(n))}
        assert picker.held <= cap
        assert picker.rotating <= cap
        assert len(picked) == picker.held + picker.rotating
        assert picker.room == max(0, cap - len(picked))
        if len(held) <= cap:
            assert {n for n in held if n < rows} <= picked
        seen |= picked
    assert seen == set(range(rows))


ASKED = {"directory": "/", "name": "x", "size": 1, "cap": 1, "held": [], "slice": 0, "cpu_s": 5}


async def test_a_reader_that_takes_too_long_is_killed() -> None:
    """At the deadline the child is killed and waited for."""
    with pytest.raises(CatalogueError, match="takes longer than"):
        await read._ask(ASKED | {"allow_private": False}, 0.0, allow_private=False)


async def test_a_reader_that_ends_without_an_answer_is_a_refusal() -> None:
    """A child that dies of a fault of its own is told by its exit code."""
    with pytest.raises(CatalogueError, match="ended with 1"):
        await read._ask(ASKED, 30.0, allow_private=False)
