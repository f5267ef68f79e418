"""Letting go: the blocks return, the rest keeps serving."""

import asyncio
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Never

import pytest

from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.errors import EngineError
from smartnode.metainfo.resume import read_resume


@pytest.fixture
async def held(engines: Any, make_sample: Any, seeder: Any, until: Any) -> Any:
    """An engine that holds a dataset as wanted."""

    async def hold(wanted: Any = None, files: Any = None, **options: Any) -> Any:
        sample = make_sample(files=files, **options)
        engine, peer = await engines(1), seeder(sample)
        pieces = Bitfield.full(sample.count) if wanted is None else wanted(sample)
        await engine.want(sample.item, sample.metainfo, pieces)
        info_hash = sample.metainfo.info_hash
        await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
        await until(lambda: engine.holdings()[info_hash].have == pieces)
        if pieces.count() == sample.count:
            await until(lambda: engine._torrents[info_hash].whole)
        await engine.save()
        return engine, sample, info_hash

    return hold


def folder_of(tmp_path: Path, info_hash: str, *, whole: bool = False) -> Path:
    """Return where node 1 keeps the item."""
    top = tmp_path / "node1" / "data"
    return (top if whole else top / ".partial") / "c" / f"x~{info_hash[:8]}"


async def test_blocks_return_and_the_rest_serves(held: Any, client: Any, tmp_path: Path) -> None:
    """The allocated bytes fall by exactly what was evicted; a stranger fetches every kept piece without a bad hash."""
    engine, sample, info_hash = await held(lambda s: s.pieces(*range(30)))
    path = folder_of(tmp_path, info_hash) / "x.bin"
    before = path.stat().st_blocks * 512
    gone = sample.pieces(0, 5, 6, 7, 20, 29)
    freed = await engine.evict(info_hash, gone)
    assert freed == 6 << 18
    # A file system may need a block more or less to list the extents.
    assert abs(before - path.stat().st_blocks * 512 - freed) < 1 << 16
    kept = sample.pieces(*range(30)) - gone
    assert engine.holdings()[info_hash].have == kept
    assert engine.holdings()[info_hash].wanted == kept
    leech = client(4)
    failed = await _fetch(leech, sample, tmp_path / "leech", kept, ("127.0.60.1", engine.listen_port))
    assert failed == 0


async def test_an_evicted_whole_item_leaves_the_place_of_whole_items(held: Any, client: Any, tmp_path: Path) -> None:
    """A file with holes is never shown as a whole one; its short last piece gives its blocks back too."""
    engine, sample, info_hash = await held()
    assert (folder_of(tmp_path, info_hash, whole=True) / "x.bin").exists()
    await engine.evict(info_hash, sample.pieces(sample.count - 1, sample.count - 2))
    assert not (folder_of(tmp_path, info_hash, whole=True) / "x.bin").exists()
    path = folder_of(tmp_path, info_hash) / "x.bin"
    assert 0 <= path.stat().st_blocks * 512 - ((sample.count - 2) << 18) < 1 << 16
    kept = Bitfield.from_indices(range(sample.count - 2), sample.count)
    leech = client(4)
    assert await _fetch(leech, sample, tmp_path / "leech", kept, ("127.0.60.1", engine.listen_port)) == 0


async def test_evicted_pieces_can_be_wanted_again(held: Any, until: Any) -> None:
    """Eviction is not for ever: the pieces are fetched again, and nothing else."""
    engine, sample, info_hash = await held(lambda s: s.pieces(*range(8)))
    await engine.evict(info_hash, sample.pieces(2, 3))
    await engine.remap(info_hash, sample.pieces(*range(8)))
    await until(lambda: engine.holdings()[info_hash].have.count() == 8)


async def test_nothing_stays_of_a_torrent_that_is_let_go(held: Any, tmp_path: Path) -> None:
    """Files, folder and resume file of a torrent without held or wanted pieces are deleted."""
    engine, sample, info_hash = await held(lambda s: s.pieces(1, 2))
    assert await engine.evict(info_hash, Bitfield.full(sample.count)) == 2 << 18
    assert engine.holdings() == {}
    assert not folder_of(tmp_path, info_hash).exists()
    assert list((tmp_path / "node1" / "state" / "resume").iterdir()) == []


async def test_files_of_a_folder_share_pieces_and_keep_them(held: Any, client: Any, tmp_path: Path) -> None:
    """A piece that ends one file and begins the next is punched in both, and never a byte of a kept neighbour."""
    files = {"d/a.bin": 300_000, "d/b.bin": 10, "d/c.bin": 900_000, "d/e.bin": 262_144}
    engine, sample, info_hash = await held(files=files)
    gone = sample.pieces(1, 2)
    await engine.evict(info_hash, gone)
    kept = Bitfield.full(sample.count) - gone
    for number, engine_now in enumerate((engine,)):
        leech = client(4 + number)
        address = ("127.0.60.1", engine_now.listen_port)
        assert await _fetch(leech, sample, tmp_path / f"leech{number}", kept, address) == 0


async def test_the_resume_file_never_says_more_than_the_disk_holds(held: Any, tmp_path: Path) -> None:
    """After an eviction the file says so; reading it needs no session."""
    engine, sample, info_hash = await held(lambda s: s.pieces(*range(9)))
    await engine.evict(info_hash, sample.pieces(4))
    resumed = read_resume((tmp_path / "node1" / "state" / "resume" / f"{info_hash}.resume").read_bytes())
    assert resumed.have == resumed.wanted == sample.pieces(0, 1, 2, 3, 5, 6, 7, 8)
    assert resumed.key == sample.item.key
    assert resumed.layout == sample.metainfo.layout


async def test_a_failed_hole_is_an_error_and_the_torrent_still_serves(
    make_sample: Any, seeder: Any, until: Any, tmp_path: Path, node: ModuleType, client: Any
) -> None:
    """When the storage refuses, nothing wrong is served: the pieces are gone from the torrent either way."""

    class Refusing(node.Folders):
        def punch(self, path: Path, runs: Any) -> Never:
            message = f"no holes here: {path.name} {len(runs)}"
            raise EngineError(message)

    sample, folders = make_sample(), Refusing(tmp_path / "data")
    engine = node.engine_at("127.0.60.9", tmp_path, folders)
    await engine.start()
    try:
        peer = seeder(sample)
        await engine.want(sample.item, sample.metainfo, sample.pieces(0, 1, 2))
        info_hash = sample.metainfo.info_hash
        await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
        await until(lambda: engine.holdings()[info_hash].have.count() == 3)
        with pytest.raises(EngineError, match="no holes here"):
            await engine.evict(info_hash, sample.pieces(1))
        assert engine.holdings()[info_hash].have == sample.pieces(0, 2)
        address = ("127.0.60.9", engine.listen_port)
        assert await _fetch(client(4), sample, tmp_path / "leech", sample.pieces(0, 2), address) == 0
    finally:
        await engine.stop()


async def test_after_a_proof_is_too_old_every_piece_stays(held: Any, until: Any, client: Any, tmp_path: Path) -> None:
    """An eviction that is held up past its time is an error: the resume file, the files and what is served stay as they
    were, for a part as for the whole torrent; in time the same eviction goes through.
    """
    engine, sample, info_hash = await held(lambda s: s.pieces(*range(6)))
    kept, path = sample.pieces(*range(6)), folder_of(tmp_path, info_hash) / "x.bin"
    resume, blocks = tmp_path / "node1" / "state" / "resume" / f"{info_hash}.resume", path.stat().st_blocks
    before = time.monotonic() + 0.05
    async with engine._torrents[info_hash].lock:
        evicting = asyncio.create_task(engine.evict(info_hash, sample.pieces(1, 2), before=before))
        await until(lambda: time.monotonic() > before)
    with pytest.raises(EngineError, match="the proof is too old"):
        await evicting
    with pytest.raises(EngineError, match="the proof is too old"):
        await engine.evict(info_hash, Bitfield.full(sample.count), before=before)
    assert read_resume(resume.read_bytes()).have == read_resume(resume.read_bytes()).wanted == kept
    assert path.stat().st_blocks == blocks
    assert (engine.holdings()[info_hash].have, engine.holdings()[info_hash].wanted) == (kept, kept)
    address = ("127.0.60.1", engine.listen_port)
    assert await _fetch(client(4), sample, tmp_path / "leech", kept, address) == 0
    freed = await engine.evict(info_hash, sample.pieces(1, 2), before=time.monotonic() + 60)
    assert freed == 2 << 18
    assert engine.holdings()[info_hash].have == kept - sample.pieces(1, 2)


async def test_what_is_not_held_or_not_of_this_torrent_is_refused(held: Any) -> None:
    """Unknown torrents and foreign bitfields are errors, not silence."""
    engine, sample, info_hash = await held(lambda s: s.pieces(0))
    with pytest.raises(EngineError, match="not held"):
        await engine.evict("0" * 40, sample.pieces(0))
    with pytest.raises(EngineError, match="pieces are not of"):
        await engine.remap(info_hash, Bitfield.full(3))
    with pytest.raises(EngineError, match="pieces are not of"):
        await engine.want(sample.item, sample.metainfo, Bitfield.full(3))
    assert engine.holdings()[info_hash].have == sample.pieces(0)


async def _fetch(leech: Any, sample: Any, folder: Any, wanted: Any, address: Any) -> int:
    return await asyncio.to_thread(leech.fetch, sample, folder, wanted=wanted, peer=address, within_s=30)
