"""The proof: a client that knows only the .torrent files and the private DHT fetches every byte, and each byte is
checked twice, by its piece's hash and by the publisher's SHA-256.

The client is a fresh engine with an empty folder. Its torrents name no web seed and no tracker, so whatever it gets
came from nodes that it found by itself.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.meeting import Shelf, loopback_settings
from smartnode.cli.demo.publication import Publication, Published
from smartnode.cli.demo.samples import sha256_of
from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.pieces import Bitfield, Bytes, PieceRange
from smartnode.engine.session import Engine
from smartnode.metainfo.bencode import decode, encode
from smartnode.metainfo.read import Metainfo, read_metainfo

DEADLINE_S = 60.0
_LOOK_AGAIN_S = 2.0
_POLL_S = 0.1
_SHA1_BYTES = 20


async def recover(
    publication: Publication,
    folder: Path,
    *,
    host: str,
    meeting: tuple[str, int],
    seen: Callable[[int, int], None],
    deadline_s: float = DEADLINE_S,
) -> Bytes:
    """Fetch the whole archive into *folder* from the nodes alone and return its verified bytes; DemoError says what is
    missing after the deadline. *meeting* is a node of the private DHT, *seen* is told bytes held and bytes in all.
    """
    await asyncio.to_thread(folder.mkdir)
    shelf = Shelf(folder)
    engine = Engine(loopback_settings(folder / "state", host=host, bootstrap=(meeting,)), places=shelf, puncher=shelf)
    await engine.start()
    try:
        for published in publication.items:
            metainfo = bare(published.metainfo)
            await engine.want(_alone(published), metainfo, Bitfield.full(metainfo.layout.num_pieces))
        await _until_whole(engine, publication, seen, deadline_s=deadline_s)
    finally:
        await engine.stop()
    return await asyncio.to_thread(verified, publication, shelf)


def bare(metainfo: Metainfo) -> Metainfo:
    """Return the same torrent with nothing in its .torrent but the info dictionary: no web seed, no tracker."""
    return read_metainfo(encode({b"info": decode(metainfo.raw)[b"info"]}))


def verified(publication: Publication, shelf: Shelf) -> Bytes:
    """Return the bytes of the files on *shelf* whose SHA-256 is the published one and whose pieces all hash right."""
    good = 0
    for published in publication.items:
        path = shelf.find(published.metainfo.info_hash) / published.sample.path.name
        if path.is_file() and sha256_of(path) == published.sample.sha256 and pieces_hash_right(path, published):
            good += published.sample.size
    return Bytes(good)


def pieces_hash_right(path: Path, published: Published) -> bool:
    """Every piece of the single file *path* has the SHA-1 that the .torrent names, and there is not a byte more."""
    layout = published.metainfo.layout
    hashes: bytes = decode(published.metainfo.raw)[b"info"][b"pieces"]
    if path.stat().st_size != layout.total_size or len(hashes) != layout.num_pieces * _SHA1_BYTES:
        return False
    with path.open("rb") as file:
        for index in range(layout.num_pieces):
            piece = file.read(layout.bytes_of(PieceRange(first=index, last=index)))
            named = hashes[index * _SHA1_BYTES : (index + 1) * _SHA1_BYTES]
            if hashlib.sha1(piece, usedforsecurity=False).digest() != named:
                return False
    return True


async def _until_whole(
    engine: Engine, publication: Publication, seen: Callable[[int, int], None], *, deadline_s: float
) -> None:
    whole = publication.archive_bytes
    try:
        async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as group:
            looking = group.create_task(_keep_looking(engine, publication))
            while (held := sum(h.held_bytes for h in engine.holdings().values())) < whole:
                seen(held, whole)
                await asyncio.sleep(_POLL_S)
            seen(held, whole)
            looking.cancel()
    except TimeoutError as error:
        lacking = [
            f"{h.missing.count()} pieces of {h.info_hash[:8]} with {h.peers} peers"
            for h in engine.holdings().values()
            if h.missing.count()
        ]
        message = f"the client did not get everything within {deadline_s:.0f} s: {', '.join(lacking)}"
        raise DemoError(message) from error


async def _keep_looking(engine: Engine, publication: Publication) -> None:
    """Ask the DHT again and again and introduce who it names: a node that announces late is found late."""
    keys = [published.metainfo.info_hash for published in publication.items]
    while True:
        for key, found in zip(keys, await asyncio.gather(*map(engine.find_peers, keys)), strict=True):
            await engine.introduce(key, found or ())
        await asyncio.sleep(_LOOK_AGAIN_S)


def _alone(published: Published) -> Item:
    """The item as the client knows it: a torrent and nothing else, no mirror, no tracker."""
    metainfo = published.metainfo
    torrent = Torrent(
        info_hash=metainfo.info_hash,
        info_hash_v1=metainfo.info_hash_v1,
        info_hash_v2=metainfo.info_hash_v2,
        size=metainfo.layout.total_size,
        piece_length=metainfo.layout.piece_length,
        name=metainfo.name,
        metainfo_url=None,
    )
    return Item(key=published.key, torrent=torrent)
