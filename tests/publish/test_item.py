"""A published item says what its torrent and its file say, in the words of the profile."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.errors import PublishError
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.publish.item import Dataset, Mirror, Payload, stac_item

DATA = Path(__file__).parent.parent / "data"
EXAMPLE: dict[str, Any] = json.loads((DATA / "example_item.json").read_text())
NAME = "ca-ab_edmonton-2023A00054811061_orthoimagery_2023_075mm.pmtiles"
AT = datetime(2026, 2, 7, 16, 26, tzinfo=UTC)


@pytest.fixture
def metainfo() -> Metainfo:
    """Return the real .torrent of the example item."""
    return read_metainfo((DATA / "torrents" / f"{NAME}.torrent").read_bytes())


def dataset(**change: Any) -> Dataset:
    """Return what the example item says of its dataset."""
    west, south, east, north = EXAMPLE["bbox"]
    plain = Dataset(
        key=ItemKey(collection=EXAMPLE["collection"], id=EXAMPLE["id"]),
        title=EXAMPLE["properties"]["title"],
        version="0.1.0-beta",
        license="other",
        bbox=(west, south, east, north),
        start=datetime(2023, 1, 1, tzinfo=UTC),
        end=datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC),
        created=AT,
        series=EXAMPLE["properties"]["torrent:series"],
        experimental=True,
        target_replicas=5,
    )
    return dataclasses.replace(plain, **change)


def payload(**change: Any) -> Payload:
    """Return what the example item says of its file."""
    asset = EXAMPLE["assets"]["data"]
    plain = Payload(
        href=asset["href"],
        media_type=asset["type"],
        path=PurePosixPath(NAME),
        size=Bytes(asset["file:size"]),
        sha256="ab" * 32,
        host="Source Cooperative",
        mirrors=tuple(
            Mirror(key=key, name=other["alternate:name"], href=other["href"])
            for key, other in asset["alternate"].items()
        ),
    )
    return dataclasses.replace(plain, **change)


def item(metainfo: Metainfo, of: Dataset, file: Payload, **change: str) -> dict[str, Any]:
    """Return the item as published under the example's addresses."""
    links = {link["rel"]: link["href"] for link in EXAMPLE["links"]}
    places = {
        "metainfo_href": EXAMPLE["assets"]["torrent"]["href"],
        "collection_href": links["collection"],
        "self_href": links["self"],
    } | change
    return stac_item(of, file, metainfo=metainfo, **places)


def test_the_example_item_is_what_is_published(metainfo: Metainfo) -> None:
    """From the same facts comes the very item of the profile; only checksum and size of the local copies differ."""
    made = json.loads(json.dumps(item(metainfo, dataset(), payload())))
    expected = json.loads(json.dumps(EXAMPLE))
    expected["assets"]["data"]["file:checksum"] = "1220" + "ab" * 32
    expected["assets"]["torrent"]["file:size"] = len(metainfo.raw)
    expected["assets"]["torrent"]["file:checksum"] = "1220" + hashlib.sha256(metainfo.raw).hexdigest()
    assert made == expected


def test_hoisted_fields_are_those_of_the_asset(metainfo: Metainfo) -> None:
    """The asset ``torrent`` and the properties say the same; both hashes are there if both exist."""
    hybrid = dataclasses.replace(metainfo, info_hash_v2="cd" * 32)
    made = item(hybrid, dataset(), payload())
    for name in ("torrent:info_hash", "torrent:info_hash_v2", "torrent:size"):
        assert made["properties"][name] == made["assets"]["torrent"][name]
    assert made["properties"]["torrent:info_hash_v2"] == "cd" * 32


def test_a_doi_is_cited_and_a_withdrawal_is_said(metainfo: Metainfo) -> None:
    """``sci:doi`` comes with its cite-as link; ``unpublished`` is an RFC 3339 time; both are absent when unknown."""
    made = item(metainfo, dataset(doi="10.5281/zenodo.1", unpublished=AT), payload())
    assert made["properties"]["sci:doi"] == "10.5281/zenodo.1"
    assert {"rel": "cite-as", "href": "https://doi.org/10.5281/zenodo.1"} in made["links"]
    assert made["properties"]["unpublished"] == "2026-02-07T16:26:00Z"
    plain = item(metainfo, dataset(series=None, target_replicas=None), payload(host=None, mirrors=()))
    absent = {"sci:doi", "unpublished", "torrent:series", "torrent:target_replicas"}
    assert not absent & plain["properties"].keys()
    assert not {"alternate", "alternate:name"} & plain["assets"]["data"].keys()


@pytest.mark.parametrize(
    ("of", "file", "said"),
    [
        ({"key": ItemKey(collection="c", id="")}, {}, "item id"),
        ({"key": ItemKey(collection="c", id="a\nb")}, {}, "item id"),
        ({"bbox": (-181.0, 0.0, 1.0, 1.0)}, {}, "globe"),
        ({"bbox": (0.0, 5.0, 1.0, 1.0)}, {}, "globe"),
        ({"bbox": (0.0, float("nan"), 1.0, 1.0)}, {}, "globe"),
        ({}, {"sha256": "AB" * 32}, "SHA-256"),
        ({}, {"size": Bytes(5)}, "does not carry"),
        ({}, {"path": PurePosixPath("other.tif")}, "does not carry"),
        ({}, {"href": "file:///etc/passwd"}, "http"),
        ({}, {"mirrors": (Mirror(key="m", name="M", href="ftp://a/b"),)}, "http"),
    ],
)
def test_what_does_not_agree_is_refused(
    metainfo: Metainfo, of: dict[str, Any], file: dict[str, Any], said: str
) -> None:
    """An item whose file is not in its torrent, or that no reader could use, is a PublishError."""
    with pytest.raises(PublishError, match=said):
        item(metainfo, dataset(**of), payload(**file))


def test_metainfo_has_an_http_address_too(metainfo: Metainfo) -> None:
    """The .torrent is published under http(s) like the rest."""
    with pytest.raises(PublishError, match="http"):
        item(metainfo, dataset(), payload(), metainfo_href="torrents/a.torrent")
