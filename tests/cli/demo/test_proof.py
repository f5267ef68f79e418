"""Only bytes that came from nodes and hash right are recovered."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.meeting import MeetingPoint, Shelf, loopback_settings
from smartnode.cli.demo.proof import bare, pieces_hash_right, recover, verified
from smartnode.cli.demo.publication import Publication, publish
from smartnode.cli.demo.samples import Sample
from smartnode.domain.catalogue import Item
from smartnode.domain.pieces import Bitfield
from smartnode.engine.session import Engine


@pytest.fixture
def publication(samples: tuple[Sample, ...], folder: Path) -> Publication:
    """Return the two smallest samples, published at an origin that does not exist."""
    return publish(samples, folder, origin="http://127.0.0.1:1")


@pytest.fixture
async def meeting(tmp_path: Path) -> AsyncIterator[MeetingPoint]:
    """Return the first node of a private DHT."""
    async with MeetingPoint(tmp_path / "meeting", host="127.0.111.1") as met:
        yield met


async def holder(ending: AsyncExitStack, folder: Path, *, host: str, met: MeetingPoint) -> tuple[Engine, Shelf]:
    """Start an engine that ends with *ending*."""
    shelf = Shelf(folder)
    engine = Engine(
        loopback_settings(folder / "state", host=host, bootstrap=(met.address,)), places=shelf, puncher=shelf
    )
    await engine.start()
    ending.push_async_callback(engine.stop)
    return engine, shelf


async def give(engine: Engine, shelf: Shelf, publication: Publication, share: slice) -> None:
    """Let *engine* hold the pieces *share* of every item, as it would after fetching them: the files are there."""
    for published in publication.items:
        metainfo = published.metainfo
        place = shelf.partial(published.key, metainfo.info_hash)
        place.mkdir(parents=True)
        (place / published.sample.path.name).write_bytes(published.sample.path.read_bytes())
        count = metainfo.layout.num_pieces
        await engine.want(
            Item(key=published.key, torrent=None), bare(metainfo), Bitfield.from_indices(range(count)[share], count)
        )


async def test_two_halves_give_the_whole_without_an_origin(
    publication: Publication, meeting: MeetingPoint, tmp_path: Path
) -> None:
    """Two nodes that hold the even and the odd pieces are found by the DHT and give every byte."""
    seen: list[tuple[int, int]] = []
    async with AsyncExitStack() as ending:
        for number, share in ((1, slice(0, None, 2)), (2, slice(1, None, 2))):
            engine, shelf = await holder(ending, tmp_path / f"n{number}", host=f"127.0.11{number + 1}.1", met=meeting)
            await give(engine, shelf, publication, share)
        recovered = await recover(
            publication,
            tmp_path / "client",
            host="127.0.114.1",
            meeting=meeting.address,
            seen=lambda done, whole: seen.append((done, whole)),
        )
    assert recovered == publication.archive_bytes
    assert seen[-1] == (publication.archive_bytes, publication.archive_bytes)


async def test_what_no_node_holds_is_not_recovered(
    publication: Publication, meeting: MeetingPoint, tmp_path: Path
) -> None:
    """With nobody there the proof fails and says what is missing; it never falls back on a web seed."""
    with pytest.raises(DemoError, match=r"pieces of .* with 0 peers"):
        await recover(
            publication,
            tmp_path / "client",
            host="127.0.114.1",
            meeting=meeting.address,
            seen=lambda _done, _whole: None,
            deadline_s=3.0,
        )


def test_the_clients_torrents_name_no_source(publication: Publication) -> None:
    """The same info-hash, without web seeds and trackers, in the very bytes that the engine gets."""
    for published in publication.items:
        naked = bare(published.metainfo)
        assert published.metainfo.web_seeds
        assert naked.info_hash == published.metainfo.info_hash
        assert (naked.web_seeds, naked.trackers) == ((), ())
        assert b"http" not in naked.raw


def test_a_wrong_byte_is_not_recovered(publication: Publication, tmp_path: Path) -> None:
    """One flipped byte takes its whole file out of the count; a byte too many or too few does as well."""
    shelf = Shelf(tmp_path / "client")
    for published in publication.items:
        place = shelf.whole(published.key, published.metainfo.info_hash)
        place.mkdir(parents=True)
        (place / published.sample.path.name).write_bytes(published.sample.path.read_bytes())
    assert verified(publication, shelf) == publication.archive_bytes
    first, second = publication.items
    path = shelf.find(first.metainfo.info_hash) / first.sample.path.name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert verified(publication, shelf) == second.sample.size
    assert not pieces_hash_right(path, first)
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert pieces_hash_right(path, first)
    for changed in (raw + b"\0", raw[:-1]):
        path.write_bytes(changed)
        assert not pieces_hash_right(path, first)
    path.unlink()
    assert verified(publication, shelf) == second.sample.size
