"""The row laws: one row, one Item or one Rejection with a reason, whatever stands in it."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.catalogue.fields import box, hash_v1, hint, label, moment, truth, whole
from smartnode.catalogue.row import judge
from smartnode.domain.catalogue import Item, Rejection
from smartnode.domain.identity import ItemKey

V1 = "0d5255210ec3c9029b53d9cee87fb4afcfec57e1"
V2 = "ab" * 32
ABSENT = object()

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def changed(row: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of *row* with one value replaced or, for ABSENT, removed; steps are separated by ``|``."""
    fresh = copy.deepcopy(row)
    at = fresh
    *steps, last = path.split("|")
    for step in steps:
        at = at[step]
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value
    return fresh


def rejected(row: dict[str, Any], *, allow_private: bool = False) -> str:
    """Return the reason; fails unless the row is rejected."""
    result = judge(row, row=7, allow_private=allow_private)
    assert isinstance(result, Rejection)
    assert result.row == 7
    return result.reason


def accepted(row: dict[str, Any], *, allow_private: bool = False) -> Item:
    """Return the item; fails unless the row is good."""
    result = judge(row, row=0, allow_private=allow_private)
    assert isinstance(result, Item), result
    return result


def test_the_example_becomes_the_whole_item(example: dict[str, Any]) -> None:
    """Every field that the domain knows comes from its place in the profile."""
    item = accepted(example)
    file = "ca-ab_edmonton-2023A00054811061_orthoimagery_2023_075mm.pmtiles"
    assert item.key.collection == "d4c-datapkg-orthoimagery"
    assert item.torrent is not None
    assert (item.torrent.info_hash, item.torrent.info_hash_v1, item.torrent.info_hash_v2) == (V1, V1, None)
    assert (item.torrent.size, item.torrent.piece_length, item.torrent.name) == (27152883571, 16 << 20, file)
    assert item.torrent.metainfo_url == f"https://data-01.dataforcanada.org/torrents/{file}.torrent"
    assert item.torrent.trackers == ("https://tracker.labs.dataforcanada.org/announce",)
    assert item.web_seeds == (
        f"https://data.source.coop/dataforcanada/ca-orthoimagery-labs/{file}",
        f"https://data-01.labs.dataforcanada.org/processed/{file}",
        f"https://data-02.labs.dataforcanada.org/processed/{file}",
    )
    assert (item.version, item.doi, item.deprecated, item.unpublished) == ("0.1.0-beta", None, False, None)
    assert (item.priority, item.target_replicas) == (0, 5)
    assert item.bbox == (-113.72, 53.39, -113.27, 53.72)


def test_regions_stand_beside_the_hrefs_that_they_are_about(example: dict[str, Any]) -> None:
    """A web seed has the region of its own href; one that is unreadable or empty is none, and costs nothing."""
    data = example["assets"]["data"]
    row = changed(example, "assets|data|storage:region", "us-west-2")
    row = changed(row, "assets|data|alternate|d4c-01|storage:region", ["ca-on"])
    row = changed(row, "assets|data|alternate|d4c-02|storage:region", " nl\x00 ")
    assert accepted(row).places == ((data["href"], "us-west-2"), (data["alternate"]["d4c-02"]["href"], "nl"))
    assert accepted(row).web_seeds == accepted(example).web_seeds
    assert accepted(example).places == ()
    twice = changed(row, "assets|data|alternate|zz", {"href": data["href"], "storage:region": "ca-on"})
    assert accepted(twice).places == accepted(row).places
    bare = changed(row, "assets|data|storage:region", ABSENT)
    late = changed(bare, "assets|data|alternate|zz", {"href": data["href"], "storage:region": "ca-on"})
    assert accepted(late).places[0] == (data["href"], "ca-on")


@pytest.mark.parametrize("name", ["id", "collection"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        5,
        True,
        ["x"],
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "\ud800",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/a",
        "a\\b",
        "x" * 241,
        "é" * 121,
    ],
)
def test_names_that_cannot_be_folders_are_rejected(example: dict[str, Any], name: str, value: object) -> None:
    """An id or collection that is empty, hidden, too long or could leave its folder rejects the row, by name."""
    assert rejected(changed(example, name, value)).startswith(f"{name} ")


def test_a_row_without_an_id_is_rejected_and_one_without_a_collection_lives(example: dict[str, Any]) -> None:
    """The id is the only property that a row cannot do without."""
    assert rejected(changed(example, "id", None)) == "id is missing"
    assert rejected(changed(example, "id", ABSENT)) == "id is missing"
    assert accepted(changed(example, "collection", None)).key == ItemKey(collection="", id=example["id"])
    assert accepted(changed(example, "id", "é" * 120)).key.id == "é" * 120


@pytest.mark.parametrize("value", ["", "00", "g" * 40, V1 + "0", V2, 5, True, [V1]])
def test_a_bad_hash_is_rejected_in_either_place(example: dict[str, Any], value: object) -> None:
    """40 hex digits or nothing, in the asset and in the properties."""
    assert rejected(changed(example, "assets|torrent|torrent:info_hash", value)).startswith("torrent:info_hash ")
    assert rejected(changed(example, "torrent:info_hash", value)).startswith("torrent:info_hash ")
    if value != V2:
        assert rejected(changed(example, "torrent:info_hash_v2", value)).startswith("torrent:info_hash_v2 ")


@pytest.mark.parametrize("value", [0, -1, 1.5, "27152883571", True, 1 << 48, float("nan"), float("inf"), {}, 1 << 90])
def test_a_bad_size_is_rejected(example: dict[str, Any], value: object) -> None:
    """A size is a whole number of bytes above 0 and below 2^48, never text."""
    assert rejected(changed(example, "torrent:size", value)).startswith("torrent:size ")
    assert rejected(changed(example, "assets|torrent|torrent:size", value)).startswith("torrent:size ")


@pytest.mark.parametrize("value", [0, -5, 1023, 1.5, "16777216", (1 << 29) + 1])
def test_a_bad_piece_length_is_rejected(example: dict[str, Any], value: object) -> None:
    """A piece length is 1 KiB to 512 MiB."""
    assert "torrent:piece_length" in rejected(changed(example, "assets|torrent|torrent:piece_length", value))


def test_too_many_pieces_are_rejected(example: dict[str, Any]) -> None:
    """A torrent that our own reader would refuse for its pieces is refused in the catalogue already."""
    assert "pieces" in rejected(changed(example, "assets|torrent|torrent:piece_length", 1 << 10))


def test_whole_floats_are_numbers(example: dict[str, Any]) -> None:
    """Writers turn integer columns with nulls into floats: an exact one is the same number."""
    row = changed(example, "torrent:size", 27152883571.0)
    assert accepted(row) == accepted(example)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("torrent:info_hash", "f" * 40),
        ("torrent:size", 5),
        ("torrent:piece_length", 1 << 20),
        ("torrent:name", "other"),
    ],
)
def test_asset_and_properties_must_agree(example: dict[str, Any], name: str, other: object) -> None:
    """Where a torrent field stands in both places and differs, the row is rejected with both values."""
    reason = rejected(changed(example, name, other))
    assert reason.startswith(f"{name} differs: ")
    assert str(other) in reason
    assert accepted(changed(example, name, example["assets"]["torrent"][name])) == accepted(example)


def test_the_properties_stand_in_for_the_asset(example: dict[str, Any]) -> None:
    """torrent:* is read from the asset, else from the properties."""
    row = copy.deepcopy(example)
    asset = row["assets"]["torrent"]
    for name in [name for name in asset if name.startswith("torrent:")]:
        row[name] = asset.pop(name)
    assert accepted(row) == accepted(example)


def test_v2_alone_makes_a_key_and_upper_case_is_lowered(example: dict[str, Any]) -> None:
    """The key of a v2 torrent is its hash cut to 20 bytes; a hybrid one keeps its v1 key."""
    row = changed(example, "assets|torrent|torrent:info_hash_v2", V2.upper())
    hybrid = accepted(row).torrent
    assert hybrid is not None
    assert (hybrid.info_hash, hybrid.info_hash_v2) == (V1, V2)
    row = changed(changed(row, "torrent:info_hash", ABSENT), "assets|torrent|torrent:info_hash", ABSENT)
    alone = accepted(row).torrent
    assert alone is not None
    assert (alone.info_hash, alone.info_hash_v1) == (V2[:40], None)


@pytest.mark.parametrize("missing", ["torrent:size", "torrent:info_hash"])
def test_without_hash_or_size_there_is_an_item_without_torrent(example: dict[str, Any], missing: str) -> None:
    """Items without a torrent are listed, never an error."""
    row = changed(changed(example, missing, ABSENT), f"assets|torrent|{missing}", None)
    assert accepted(row).torrent is None
    assert accepted(changed(row, "assets", ABSENT)).torrent is None
    assert accepted(changed(row, "assets", {"torrent": None})).web_seeds == ()


@pytest.mark.parametrize("where", ["assets|torrent|href", "assets|data|href", "assets|data|alternate|d4c-01|href"])
@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "/etc/passwd", "../x", "http://127.0.0.1/x", "javascript:1", "\u202egnp.exe", 5, {}]
)
def test_an_evil_href_rejects_the_row(example: dict[str, Any], where: str, href: object) -> None:
    """The .torrent's address, the data's and every alternate's are held to one law."""
    assert "href" in rejected(changed(example, where, href))


def test_private_hrefs_are_for_those_who_allow_them(example: dict[str, Any]) -> None:
    """With allow_private a loopback origin is a web seed like any other."""
    row = changed(example, "assets|data|href", "http://127.0.0.1:8000/x y")
    assert "private" in rejected(row)
    assert accepted(row, allow_private=True).web_seeds[0] == "http://127.0.0.1:8000/x%20y"


def test_storage_schemes_are_no_web_seed_and_no_fault(example: dict[str, Any]) -> None:
    """s3: is a real place, only not one that BEP 19 can ask; an address listed twice is one web seed."""
    row = changed(example, "assets|data|href", "s3://bucket/key")
    row = changed(row, "assets|data|alternate|again", {"href": row["assets"]["data"]["alternate"]["d4c-01"]["href"]})
    row = changed(row, "assets|data|alternate|none", None)
    row = changed(row, "assets|data|alternate|empty", {"href": None})
    assert accepted(row).web_seeds == accepted(example).web_seeds[1:] or len(accepted(row).web_seeds) == 2


@pytest.mark.parametrize(
    ("magnet", "good"),
    [
        (f"magnet:?xt=urn:btih:{V1}", True),
        (f"magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}", True),
        (f"magnet:?xt=urn:btih:{'0' * 40}", False),
        (f"magnet:?xt=urn:btih:{V1}&xt=urn:btih:{'0' * 40}", False),
        ("magnet:?dn=x", False),
        ("magnet:?xt=urn:btih:zz", False),
    ],
)
def test_a_magnet_must_name_the_same_torrent(example: dict[str, Any], magnet: str, *, good: bool) -> None:
    """A magnet is taken only when the hash that it names is the catalogue's."""
    row = changed(example, "assets|torrent|href", magnet)
    if good:
        torrent = accepted(row).torrent
        assert torrent is not None
        assert torrent.metainfo_url == magnet
    else:
        assert rejected(row).startswith("torrent href ")


def test_trackers_are_hints(example: dict[str, Any]) -> None:
    """An unusable tracker is dropped, the row lives; a list in the properties serves when the asset has none."""
    mixed = ["udp://t.example:1/a", 5, None, "http://127.0.0.1/announce", "file:///x", "udp://t.example:1/a"]
    torrent = accepted(changed(example, "assets|torrent|torrent:trackers", mixed)).torrent
    assert torrent is not None
    assert torrent.trackers == ("udp://t.example:1/a",)
    row = changed(
        changed(example, "assets|torrent|torrent:trackers", ABSENT), "torrent:trackers", ["udp://p.example:1"]
    )
    torrent = accepted(row).torrent
    assert torrent is not None
    assert torrent.trackers == ("udp://p.example:1",)


@pytest.mark.parametrize("assets", ["{not json", 5, ["x"], {"data": "x"}, {"torrent": [1]}])
def test_unreadable_assets_reject_the_row(example: dict[str, Any], assets: object) -> None:
    """Assets that are not a mapping of mappings are a fault of their row."""
    assert rejected(changed(example, "assets", assets)).startswith("assets")


def test_advice_never_costs_a_dataset(example: dict[str, Any]) -> None:
    """Priority and target replicas are moved into range or ignored; the rest may be anything."""
    row = example | {"torrent:priority": 10**9, "torrent:target_replicas": "many", "bbox": "x", "version": 2}
    row |= {"sci:doi": ["x"], "deprecated": "maybe", "title": "a\x1b[31mb"}
    item = accepted(row)
    assert (item.priority, item.target_replicas, item.bbox, item.version) == (16, None, None, "2")
    assert (item.doi, item.deprecated, item.title) == (None, False, "a [31mb")


def test_a_withdrawal_that_cannot_be_read_rejects_the_row(example: dict[str, Any]) -> None:
    """An unreadable ``unpublished`` must not be seeded on as if nothing had been said."""
    assert rejected(changed(example, "unpublished", "soon")).startswith("unpublished is not a time")
    assert accepted(changed(example, "unpublished", "")).unpublished is None
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for spelling in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-01T22:04:05-05:00", 1767323045000000):
        assert accepted(changed(example, "unpublished", spelling)).unpublished == time


@given(data=st.data())
def test_no_value_anywhere_makes_the_laws_raise(data: st.DataObject) -> None:
    """Whatever JSON-like value stands in whatever field, the answer is an Item or a Rejection with one line."""
    row = {
        "id": "x",
        "collection": "c",
        "torrent:info_hash": V1,
        "torrent:size": 5,
        "assets": {
            "data": {"href": "https://e.example/x", "alternate": {"a": {"href": "https://f.example/"}}},
            "torrent": {},
        },
    }
    names = ["id", "collection", "bbox", "title", "version", "deprecated", "unpublished", "sci:doi", "assets"]
    names += ["torrent:priority", "torrent:series", "torrent:target_replicas", "assets|data", "assets|torrent"]
    names += ["assets|data|storage:region", "assets|data|alternate|a|storage:region"]
    names += ["assets|data|href", "assets|data|alternate", "assets|data|alternate|a", "assets|data|alternate|a|href"]
    fields = ["href", "torrent:size", "torrent:info_hash", "torrent:info_hash_v2", "torrent:piece_length"]
    names += [f"assets|torrent|{name}" for name in [*fields, "torrent:name", "torrent:trackers"]] + fields[1:]
    path = data.draw(st.sampled_from(names))
    result = judge(changed(row, path, data.draw(json_like)), row=3, allow_private=data.draw(st.booleans()))
    if isinstance(result, Rejection):
        assert result.reason.isprintable()
        assert len(result.reason) < 300
    else:
        assert result.key.id
        json.dumps(str(result).encode().decode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"xmin": 1, "ymin": 2.0, "xmax": 3, "ymax": 4}, (1, 2, 3, 4)),
        ([1, 2, 3, 4], (1, 2, 3, 4)),
        ([1, 2, 0, 3, 4, 9], (1, 2, 3, 4)),
        ([1, 2, 3], None),
        ({"xmin": float("nan"), "ymin": 2, "xmax": 3, "ymax": 4}, None),
        ({"xmin": 10**400, "ymin": 2, "xmax": 3, "ymax": 4}, None),
        ({"ymin": 2, "xmax": 3, "ymax": 4}, None),
        (None, None),
    ],
)
def test_a_box_is_four_finite_numbers_or_nothing(value: object, expected: object) -> None:
    """NaN and missing corners make the box unknown."""
    assert box(value) == expected


def test_values_have_one_reading() -> None:
    """Small parsers at their edges."""
    assert [truth(v) for v in (True, "True", " yes", 1, False, "false", 0, None, 1.0, [1])] == [True] * 4 + [False] * 6
    assert (hint(3, low=0, high=2), hint(-3, low=0, high=2), hint(None, low=0, high=2)) == (2, 0, None)
    assert (whole(3), whole(3.0)) == (3, 3)
    assert (label(" a "), label(""), label(1 << 60), label(True), label("x" * 600)) == (
        "a",
        None,
        None,
        None,
        "x" * 512,
    )
    assert hash_v1(V1.upper()) == V1
    assert moment(None) is None
    for bad in (True, 1.5, 10**30, "x", []):
        with pytest.raises(ValueError, match="is not a time"):
            moment(bad)
