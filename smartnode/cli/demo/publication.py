"""The samples as a publisher would offer them: a torrent with a web seed for each, and one catalogue that names all.

Everything lies in one folder that the origin serves as it is: the files, ``torrents/`` and ``catalogue.parquet``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from smartnode.cli.demo.samples import Sample
from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.publish.catalogue_file import write_catalogue
from smartnode.publish.item import Dataset, Payload, stac_item

COLLECTION = "smartnode-demo"
CATALOGUE_NAME = "catalogue.parquet"
PIECE_LENGTH = 256 << 10
VERSION = "1.0.0"
PUBLISHED_AT = datetime(2026, 1, 1, tzinfo=UTC)  # fixed: the same run gives the same bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One sample and the torrent that carries it."""

    key: ItemKey
    sample: Sample
    metainfo: Metainfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """All that was published; *catalogue_url* is where the nodes read it."""

    items: tuple[Published, ...]
    catalogue_url: str

    @property
    def archive_bytes(self) -> Bytes:
        """Bytes of all the files."""
        return Bytes(sum(item.sample.size for item in self.items))

    @property
    def largest_bytes(self) -> Bytes:
        """Bytes of the largest file."""
        return Bytes(max(item.sample.size for item in self.items))


def publish(samples: Sequence[Sample], folder: Path, *, origin: str) -> Publication:
    """Write torrents and catalogue into *folder*, which holds the samples and is served at *origin*."""
    torrents = folder / "torrents"
    torrents.mkdir()
    made = [_torrent(sample, torrents, origin) for sample in samples]
    write_catalogue([_item(published, origin) for published in made], folder / CATALOGUE_NAME)
    return Publication(items=tuple(made), catalogue_url=f"{origin}/{CATALOGUE_NAME}")


def _torrent(sample: Sample, folder: Path, origin: str) -> Published:
    raw = make_torrent(
        sample.path, piece_length=PIECE_LENGTH, web_seeds=[f"{origin}/{sample.path.name}"], created_at=PUBLISHED_AT
    )
    (folder / f"{sample.path.name}.torrent").write_bytes(raw)
    return Published(key=ItemKey(collection=COLLECTION, id=sample.id), sample=sample, metainfo=read_metainfo(raw))


def _item(published: Published, origin: str) -> dict[str, object]:
    sample = published.sample
    dataset = Dataset(
        key=published.key,
        title=sample.title,
        version=VERSION,
        license="CC0-1.0",
        bbox=sample.bbox,
        start=PUBLISHED_AT,
        end=PUBLISHED_AT,
        created=PUBLISHED_AT,
        series=sample.id,
    )
    payload = Payload(
        href=f"{origin}/{sample.path.name}",
        media_type=sample.media_type,
        path=PurePosixPath(sample.path.name),
        size=sample.size,
        sha256=sample.sha256,
        host="Demo origin",
    )
    return stac_item(
        dataset,
        payload,
        metainfo=published.metainfo,
        metainfo_href=f"{origin}/torrents/{sample.path.name}.torrent",
        collection_href=f"{origin}/collection.json",
        self_href=f"{origin}/{sample.id}.json",
    )
