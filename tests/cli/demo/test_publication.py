"""What the demo publishes is what the daemon reads."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import httpx

from smartnode.catalogue.inspect import inspect
from smartnode.cli.demo.origin import Origin
from smartnode.cli.demo.publication import COLLECTION, publish
from smartnode.cli.demo.samples import Sample
from smartnode.metainfo.read import read_metainfo

NOW = datetime(2026, 11, 1, tzinfo=UTC)


async def test_the_catalogue_room_reads_what_was_published(samples: tuple[Sample, ...], folder: Path) -> None:
    """Every item comes back over HTTP with its torrent, its web seed and its place; no row is rejected."""
    origin = Origin(folder, host="127.0.100.1")
    publication = publish(samples, folder, origin=origin.url)
    origin.start()
    try:
        snapshot = await inspect(publication.catalogue_url, now=NOW, allow_private=True)
    finally:
        origin.stop()
    assert (snapshot.rows, snapshot.good, snapshot.with_torrent, snapshot.rejected) == (2, 2, 2, ())
    read = {item.key.id: item for item in snapshot.items}
    for published in publication.items:
        sample, metainfo = published.sample, published.metainfo
        item = read[sample.id]
        assert item.key.collection == COLLECTION
        assert item.title == sample.title
        assert item.version == "1.0.0"
        assert item.bbox == sample.bbox
        assert item.web_seeds == (f"{origin.url}/{sample.path.name}",)
        assert item.torrent is not None
        assert item.torrent.info_hash == metainfo.info_hash
        assert item.torrent.layout == metainfo.layout
        assert item.torrent.size == sample.size
        assert item.torrent.metainfo_url == f"{origin.url}/torrents/{sample.path.name}.torrent"


def test_torrents_are_served_beside_the_files_they_name(samples: tuple[Sample, ...], folder: Path) -> None:
    """The .torrent at the published address is the one of the catalogue, and its web seed serves the file."""
    origin = Origin(folder, host="127.0.100.1")
    publication = publish(samples, folder, origin=origin.url)
    origin.start()
    try:
        with httpx.Client(trust_env=False) as client:
            for published in publication.items:
                name = published.sample.path.name
                metainfo = read_metainfo(client.get(f"{origin.url}/torrents/{name}.torrent").content)
                assert metainfo == published.metainfo
                (web_seed,) = metainfo.web_seeds
                body = client.get(web_seed).content
                assert hashlib.sha256(body).hexdigest() == published.sample.sha256
    finally:
        origin.stop()
    assert publication.archive_bytes == sum(sample.size for sample in samples)
    assert publication.largest_bytes == samples[0].size
