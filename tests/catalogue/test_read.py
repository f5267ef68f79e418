"""Reading untrusted Parquet: every writer's file gives the same items, every hostile one a reason, within bounds."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.catalogue import read
from smartnode.catalogue.read import Reading, read_catalogue
from smartnode.catalogue.scan import Request, scan
from smartnode.catalogue.selection import Selection
from smartnode.errors import CatalogueError

Row = dict[str, Any]
GOOD = (11, 11, 9, 0)
MALFORMED: dict[str, tuple[int, int, int, int] | str] = {
    "assets_json": GOOD,
    "assets_list": GOOD,
    "assets_map": GOOD,
    "assets_none": GOOD,
    "bad_geo_json": GOOD,
    "bomb_dict": "1000000 rows in 4547 bytes",
    "bomb_rows": "300000000 rows are over the limit",
    "corrupt_page": "it does not decode",
    "deprecated_str": GOOD,
    "dup_ids": (11, 2, 1, 9),
    "empty": "an empty file",
    "href_evil": (11, 2, 0, 9),
    "html": "an HTML or XML page",
    "nan_bbox": GOOD,
    "no_id": (11, 0, 0, 11),
    "null_ids": (11, 8, 6, 3),
    "size_neg": (11, 0, 0, 11),
    "trunc_half": "cut off after 19535 bytes",
}
REASONS = {
    "dup_ids": ["is a second row with the id d4c-datapkg-orthoimagery/x"] * 8
    + ["is a second row with the id d4c-datapkg-statistical/x"],
    "no_id": ["id is missing"] * 11,
    "null_ids": ["id is missing"] * 3,
    "size_neg": ["torrent:size is not a possible size: -1"] * 11,
    "href_evil": [
        "torrent href is neither http nor https: 'file:///etc/passwd'",
        "torrent href is not an absolute address: '/etc/passwd'",
        "torrent href is not an absolute address: '../../../etc/passwd'",
        "torrent href points into a private network: 'http://127.0.0.1/x'",
        "torrent href points into a private network: 'http://169.254.169.254/latest/meta-data'",
        "torrent href is a magnet of another torrent: 'magnet:?xt=urn:btih:" + "0" * 40 + "'",
        "torrent href is neither http nor https: 'javascript:1'",
        'torrent href is not an absolute address: "\'; drop table x; --"',
        "torrent href holds the hidden character U+202E: '\\u202egnp.exe'",
    ],
}
WATCH = """
import asyncio, json, resource, sys
from pathlib import Path
from smartnode.catalogue.read import read_catalogue
from smartnode.catalogue.selection import Selection
from smartnode.errors import CatalogueError
try:
    asyncio.run(read_catalogue(Path(sys.argv[1]), selection=Selection(), allow_private=False))
    said = None
except CatalogueError as error:
    said = str(error)
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([said, peak * 1024]))
"""


async def reading(file: Path, **selection: Any) -> Reading:
    """Read *file* with the defaults."""
    return await read_catalogue(file, selection=Selection(**selection), allow_private=False)


def scanned(file: Path, **selection: Any) -> Reading:
    """Read *file* as the child would, in this process: for files that the test wrote itself."""
    lines: list[dict[str, Any]] = []
    asked = Request(name=str(file), size=file.stat().st_size, selection=Selection(**selection), allow_private=False)
    scan(asked, lines.append)
    answer = read._Answer()
    for line in lines:
        read._note(answer, json.loads(json.dumps(line)), allow_private=False)
    return read._reading(answer)


def watched(file: Path) -> tuple[str | None, int]:
    """Read *file* in a process of its own: the refusal, and the peak resident bytes of it and of its child."""
    done = subprocess.run([sys.executable, "-c", WATCH, str(file)], capture_output=True, check=True, timeout=60)
    said, peak = json.loads(done.stdout.splitlines()[-1])
    return said, peak


def repeated(value: str | bytes, times: int) -> pa.Array:
    """Return one value many times, held once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value]))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write columns as a Parquet file."""

    def written(columns: dict[str, Any], **options: Any) -> Path:
        file = tmp_path / "written.parquet"
        pq.write_table(pa.table(columns), file, **options)
        return file

    return written


async def test_both_real_catalogues_give_the_same_items(data: Path) -> None:
    """The files of rustac and of stac-geoparquet of one catalogue are the same 11 items, 9 with a torrent."""
    one = await reading(data / "catalogue-rustac.parquet")
    other = await reading(data / "catalogue-stac-geoparquet.parquet")
    assert (one.rows, one.good, one.with_torrent, one.rejected) == (11, 11, 9, ())
    assert one == other
    assert len({item.key for item in one.items}) == 11
    assert sum(item.torrent.size for item in one.items if item.torrent) == 100_569_228_695


@pytest.mark.parametrize("name", sorted(MALFORMED))
async def test_every_malformed_file_has_its_outcome(data: Path, name: str) -> None:
    """Good rows are kept, wrong ones listed with reasons, and what is no catalogue is refused with a reason."""
    file = data / "malformed" / f"{name}.parquet"
    expected = MALFORMED[name]
    if isinstance(expected, str):
        with pytest.raises(CatalogueError, match=expected):
            await reading(file)
        return
    found = await reading(file)
    assert (found.rows, found.good, found.with_torrent, found.rejected_total) == expected
    assert len(found.items) == found.good
    assert [rejection.reason for rejection in found.rejected] == REASONS.get(name, [])


def test_no_malformed_file_is_missing_from_the_table(data: Path) -> None:
    """A new hostile file in tests/data needs an expectation."""
    assert {file.stem for file in (data / "malformed").iterdir()} == set(MALFORMED)


@pytest.mark.parametrize("name", ["assets_json", "bad_geo_json", "deprecated_str"])
async def test_shapes_that_say_the_same_are_the_same(data: Path, name: str) -> None:
    """Assets as JSON text, broken geo metadata and truth as text change nothing."""
    assert (await reading(data / "malformed" / f"{name}.parquet")).items == (
        await reading(data / "catalogue-rustac.parquet")
    ).items


@pytest.mark.parametrize("name", ["bomb_dict", "bomb_rows"])
def test_the_known_bombs_stay_small(data: Path, name: str) -> None:
    """A bomb is refused by its footer in less than 1 GB."""
    said, peak = watched(data / "malformed" / f"{name}.parquet")
    assert said is not None
    assert peak < 1_000_000_000


def test_a_bomb_that_passes_the_footer_meets_the_memory_limit(write: Callable[..., Path]) -> None:
    """Few rows of one huge text, of low swell: the process that reads it stays below 1 GB, and refuses or lives."""
    text = os.urandom(24 << 20).hex()
    said, peak = watched(write({"id": repeated(text, 3000)}, compression="none"))
    assert peak < 1_000_000_000
    assert said is None or "memory" in said or "takes" in said or "died" in said


async def test_a_dictionary_bomb_of_few_rows_is_refused(write: Callable[..., Path]) -> None:
    """One column chunk that swells a thousand times is refused before a page is read."""
    with pytest.raises(CatalogueError, match=r"expands .* times"):
        await reading(write({"id": repeated("x" * (64 << 20), 10)}, compression="zstd"))


async def test_a_column_of_too_many_values_is_refused(write: Callable[..., Path]) -> None:
    """A list that holds millions of values in one row is refused by the footer."""
    lists = pa.array([["t"] * 7_000_000], pa.list_(pa.string()))
    with pytest.raises(CatalogueError, match="holds 7000000 values for 1 rows"):
        await reading(write({"id": ["x"], "torrent:trackers": lists}))


def test_geometry_is_never_read(write: Callable[..., Path]) -> None:
    """A bomb or rubbish where nobody looks harms nobody."""
    file = write(
        {"id": ["x"] * 3, "collection": ["a", "b", "c"], "geometry": repeated(b"\xff" * (64 << 20), 3)},
        compression="zstd",
    )
    assert scanned(file).good == 3


async def test_text_that_does_not_decode_refuses_the_file(write: Callable[..., Path]) -> None:
    """Text that is not UTF-8 is a torn page, not a wrong row."""
    bad = pa.array([b"\xff\xfe"]).view(pa.binary())
    with pytest.raises(CatalogueError, match="does not decode"):
        await reading(write({"id": ["x"], "title": bad}))


def test_null_typed_missing_and_numeric_columns_are_read(rows: list[Row], write: Callable[..., Path]) -> None:
    """A column null everywhere, floats for integers, dictionaries, large strings and binary text are all ordinary."""
    size = [float(row["torrent:size"]) if "torrent:size" in row else None for row in rows]
    columns = {
        "id": pa.array([row["id"].encode() for row in rows]),
        "collection": pa.array([row["collection"] for row in rows]).dictionary_encode(),
        "version": pa.nulls(11),
        "deprecated": pa.array([1] * 11),
        "assets": pa.nulls(11),
        "torrent:size": pa.array(size),
        "torrent:info_hash": pa.array([row.get("torrent:info_hash") for row in rows], pa.large_string()),
        "bbox": pa.array([row["bbox"] for row in rows]),
        "unpublished": pa.nulls(11),
        "datetime": pa.nulls(11),
    }
    found = scanned(write(columns))
    assert (found.good, found.with_torrent, found.deprecated) == (11, 9, 11)
    assert [item.bbox for item in found.items] == [tuple(row["bbox"]) for row in rows]
    assert [item.torrent.size if item.torrent else None for item in found.items] == size


TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([TIME], pa.timestamp("s", "UTC")),
        pa.array([TIME], pa.timestamp("ms", "America/Toronto")),
        pa.array([TIME], pa.timestamp("us", "UTC")),
        pa.array([TIME], pa.timestamp("ns", "UTC")),
        pa.array([TIME.replace(tzinfo=None)], pa.timestamp("ns")),
        pa.array([TIME.replace(tzinfo=None)], pa.timestamp("us")),
        pa.array(["2026-01-02T03:04:05Z"]),
        pa.array(["2026-01-01 22:04:05-05:00"]).dictionary_encode(),
    ],
    ids=str,
)
def test_times_of_every_unit_are_one_time(write: Callable[..., Path], column: pa.Array) -> None:
    """``unpublished`` as a timestamp of any unit, or as text, is the same aware time."""
    found = scanned(write({"id": ["x"], "unpublished": column}))
    assert [item.unpublished for item in found.items] == [TIME]


def spelled(rows: list[Row], kind: str) -> pa.Array:
    """Return the assets of *rows* in one of the shapes that writers use."""
    fields: list[tuple[str, pa.DataType]] = [("href", pa.string()), ("storage:region", pa.string())]
    leaf = pa.struct(fields)
    asset = pa.struct(
        [
            *fields,
            ("alternate", pa.map_(pa.string(), leaf)),
            ("torrent:info_hash", pa.string()),
            ("torrent:size", pa.decimal128(20, 0)),
            ("torrent:piece_length", pa.uint64()),
            ("torrent:name", pa.string()),
            ("torrent:trackers", pa.list_(pa.string())),
        ]
    )
    whole = [row["assets"] for row in rows]
    match kind:
        case "map of structs":
            return pa.array([list(assets.items()) for assets in whole], pa.map_(pa.string(), asset))
        case "map of JSON":
            texts = [[(key, json.dumps(value)) for key, value in assets.items()] for assets in whole]
            return pa.array(texts, pa.map_(pa.string(), pa.string()))
        case "list with keys":
            keyed = pa.struct([("key", pa.string()), *((field.name, field.type) for field in asset)])
            return pa.array([[{"key": key, **value} for key, value in a.items()] for a in whole], pa.list_(keyed))
        case "struct with JSON alternates":
            inner = pa.struct([*fields, ("alternate", pa.string())])
            both = pa.struct([("data", inner), ("torrent", asset), ("other", pa.null())])
            data = [{**a["data"], "alternate": json.dumps(a["data"].get("alternate"))} for a in whole]
            return pa.array([{**a, "data": d} for a, d in zip(whole, data, strict=True)], both)
        case _:
            return pa.array([json.dumps(assets) for assets in whole], pa.large_string())


@pytest.mark.parametrize(
    "kind", ["map of structs", "map of JSON", "list with keys", "struct with JSON alternates", "JSON text"]
)
def test_assets_of_every_shape_give_the_same_items(
    data: Path, rows: list[Row], write: Callable[..., Path], kind: str
) -> None:
    """However a writer lays out the assets, the torrents and the web seeds are the same, and where these are."""
    rows = copy.deepcopy(rows)
    for row in rows:
        row["assets"]["data"]["storage:region"] = "ca-on"
        for key, other in row["assets"]["data"].get("alternate", {}).items():
            other["storage:region"] = None if key == "d4c-01" else f"eu-{key}"
    columns = {name: pa.array([row[name] for row in rows]) for name in ("id", "collection")}
    found = scanned(write(columns | {"assets": spelled(rows, kind)}))
    real = scanned(data / "catalogue-rustac.parquet")
    assert [(i.key, i.torrent, i.web_seeds) for i in found.items] == [
        (i.key, i.torrent, i.web_seeds) for i in real.items
    ]
    assert {tuple(region for _, region in item.places) for item in found.items if item.torrent} == {
        ("ca-on", "eu-d4c-02")
    }
    assert all(item.places[0][0] == item.web_seeds[0] for item in found.items if item.torrent)
    assert all(not item.places for item in real.items)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{broken", "assets is not readable"),
        ("[" * 5000, "assets is not readable"),
        ("[1]", "assets is not readable"),
        ('{"data": 5}', "assets.data is not an asset"),
        ('{"data": {"href": "' + "x" * (260 << 10) + '"}}', "assets is not readable"),
        ('{"data": {"href": "http://\\ud800/"}}', "data href holds the hidden character U\\+D800"),
        ('{"torrent": {"torrent:size": 1e999}}', "torrent:size is not a whole number"),
    ],
)
def test_bad_json_assets_reject_their_row_only(write: Callable[..., Path], text: str, reason: str) -> None:
    """JSON text is judged row by row; ``null`` is no assets."""
    found = scanned(write({"id": ["a", "b", "c"], "assets": [text, "null", '{"data": {"alternate": [1]}}']}))
    assert (found.good, found.rejected_total) == (2, 1)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.rejected[0].reason)


@pytest.mark.parametrize(
    "column", [pa.array([5]), pa.array([["x"]]), pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8()))]
)
def test_assets_of_no_known_shape(write: Callable[..., Path], column: pa.Array) -> None:
    """Assets that no writer makes are refused by their type, or empty when nothing in them can be an asset."""
    file = write({"id": ["x"], "assets": column})
    if pa.types.is_map(column.type):
        assert (scanned(file)).items[0].web_seeds == ()
    else:
        with pytest.raises(ValueError, match="no known writer"):
            scanned(file)


def test_long_and_hidden_texts_are_judged_not_carried(write: Callable[..., Path]) -> None:
    """A text is cut inside DuckDB to one character over its limit, which is enough to reject it."""
    found = scanned(write({"id": ["x" * 5_000_000, "a\x00b", "good"], "title": ["t", "t", "t" * 5_000_000]}))
    assert [(r.row, r.reason.partition(":")[0]) for r in found.rejected] == [
        (0, "id is over 240 bytes"),
        (1, "id holds the hidden character U+0000"),
    ]
    assert len(found.items[0].title or "") == 512


def test_one_info_hash_under_two_ids_is_two_items(write: Callable[..., Path]) -> None:
    """Both rows are listed: placing it once is the planner's work. A rejected row does not take the id."""
    columns = {
        "id": ["a", "b", "b", "c", "c"],
        "torrent:info_hash": ["ab" * 20, "ab" * 20, "ab" * 20, "bad", "cd" * 20],
        "torrent:size": [5] * 5,
    }
    found = scanned(write(columns))
    assert [item.key.id for item in found.items] == ["a", "b", "c"]
    assert [rejection.row for rejection in found.rejected] == [2, 3]


def test_rejections_are_bounded_and_counted(write: Callable[..., Path]) -> None:
    """At most 1,000 rejections are listed; the total is of all."""
    found = scanned(write({"id": pa.array([None] * 2500, pa.string())}))
    assert (len(found.rejected), found.rejected_total, found.good) == (1000, 2500, 0)


def test_every_torrent_comes_into_view_and_the_held_ones_always(write: Callable[..., Path]) -> None:
    """Of a catalogue over the cap each slice brings other rows; all of them within slices(rows) numbers."""
    hashes = [f"{number:040x}" for number in range(100)]
    columns = {"id": [f"i{n}" for n in range(100)], "torrent:info_hash": hashes, "torrent:size": [7] * 100}
    file = write(columns)
    held = frozenset({hashes[3], hashes[50]})
    seen: set[str] = set()
    slices = Selection(cap=30).slices(100)
    for number in range(slices):
        found = scanned(file, cap=30, held=held, slice_number=number)
        names = {item.torrent.info_hash for item in found.items if item.torrent}
        assert held <= names
        assert len(found.items) <= 32
        assert (found.rows, found.good, found.with_torrent) == (100, 100, 100)
        assert [item.key.id for item in found.items] == sorted(
            (i.key.id for i in found.items), key=lambda i: int(i[1:])
        )
        seen |= names
    assert seen == set(hashes)


async def test_rows_without_a_torrent_fill_the_room_that_is_left(write: Callable[..., Path]) -> None:
    """Items that are only listed never push a torrent out."""
    hashes = pa.array([f"{n:040x}" if n % 2 else None for n in range(20)])
    found = await reading(
        write({"id": [str(n) for n in range(20)], "torrent:info_hash": hashes, "torrent:size": [7] * 20}), cap=20
    )
    assert len(found.items) == 20
    file = write({"id": [str(n) for n in range(20)], "torrent:info_hash": hashes, "torrent:size": [7] * 20})
    found = scanned(file, cap=8)
    assert (found.good, found.with_torrent, len(found.items)) == (20, 10, 8)
    assert sum(item.torrent is not None for item in found.items) in {2, 3}


async def test_a_strange_folder_is_no_pattern(data: Path, tmp_path: Path) -> None:
    """Brackets, stars and quotes in a path are letters, not a glob and not SQL."""
    folder = tmp_path / "we[ir]d * ' dir"
    folder.mkdir()
    file = folder / "it's.parquet"
    file.write_bytes((data / "catalogue-rustac.parquet").read_bytes())
    assert (await reading(file)).good == 11


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that cannot be read is a CatalogueError with the path."""
    with pytest.raises(CatalogueError, match=r"nowhere\.parquet cannot be read"):
        await reading(tmp_path / "nowhere.parquet")


async def test_a_reading_process_that_dies_is_a_refusal(tmp_path: Path, data: Path) -> None:
    """A file whose footer kills or confuses the reader ends in one line, and no process is left behind."""
    raw = bytearray((data / "catalogue-rustac.parquet").read_bytes())
    footer = int.from_bytes(raw[-8:-4], "little")
    reasons: list[str] = []
    for step in range(0, footer, 5003):
        torn = bytearray(raw)
        torn[-8 - footer + step : -8 - footer + step + 40] = b"\xff" * 40
        file = tmp_path / "torn.parquet"
        file.write_bytes(torn)
        try:
            found = await reading(file)
        except CatalogueError as error:
            reasons.append(str(error))
        else:
            assert found.good + found.rejected_total == found.rows
    assert reasons
    assert not any("\n" in reason for reason in reasons)


def test_deaths_are_told_apart() -> None:
    """The exit of the reading process becomes words."""
    assert read._died(-24) == "reading it takes too much processor time"
    assert read._died(-11) == "the process that read it died of SIGSEGV"
    assert read._died(3) == "the process that read it ended with 3"
