"""What a node finds when it starts: clean stops, damaged files, unreadable resume files, taken ports."""

import asyncio
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.integrity import lost_pieces
from smartnode.errors import EngineError
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import read_metainfo


@pytest.fixture
async def stopped(engines: Any, make_sample: Any, seeder: Any, until: Any, tmp_path: Path) -> Any:
    """A stopped node that held some pieces; returns the dataset and the folder of its files."""

    async def make(wanted: Any = range(20), files: Any = None) -> Any:
        sample = make_sample(files=files)
        engine, peer = await engines(1), seeder(sample)
        info_hash = sample.metainfo.info_hash
        await engine.want(sample.item, sample.metainfo, sample.pieces(*wanted))
        await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
        await until(lambda: engine.holdings()[info_hash].missing.count() == 0)
        await until(lambda: engine.holdings()[info_hash].downloaded > 0)  # counters follow a second later
        peer.session.pause()
        await engine.stop()
        folder = tmp_path / "node1" / "data" / ".partial" / "c" / f"x~{info_hash[:8]}"
        return sample, folder

    return make


async def test_a_clean_stop_loses_nothing(stopped: Any, engines: Any) -> None:
    """Everything held and wanted is there again, before any peer is met."""
    sample, _ = await stopped()
    holding = (await engines(1)).holdings()[sample.metainfo.info_hash]
    assert holding.have == holding.wanted == sample.pieces(*range(20))
    assert holding.downloaded > 0


@pytest.mark.parametrize("damage", ["missing", "truncated", "holes", "symlink", "folder"])
async def test_what_the_disk_does_not_hold_is_not_offered(
    stopped: Any, engines: Any, seeder: Any, until: Any, client: Any, tmp_path: Path, node: ModuleType, damage: str
) -> None:
    """Pieces of a missing, short or holed file are fetched again; the rest is served without a bad hash."""
    sample, folder = await stopped()
    path = folder / "x.bin"
    lost = {
        "missing": range(20),
        "truncated": range(7, 20),
        "holes": (3, 4),
        "symlink": range(20),
        "folder": range(20),
    }[damage]
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            os.truncate(path, (7 << 18) + 5)
        case "holes":
            node.Folders(tmp_path).punch(path, [((3 << 18) + 4096, 4096), (4 << 18, 8192)])
        case "symlink":
            path.rename(folder / "elsewhere")
            path.symlink_to(folder / "elsewhere")
        case "folder":
            path.unlink()
            path.mkdir()
    engine = await engines(1)
    info_hash = sample.metainfo.info_hash
    holding = engine.holdings()[info_hash]
    assert holding.missing == sample.pieces(*lost)
    if damage in {"symlink", "folder"}:
        return
    peer = seeder(sample, number=2)
    await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].missing.count() == 0)
    wanted, address = sample.pieces(*range(20)), ("127.0.60.1", engine.listen_port)
    one = client(4)
    assert await asyncio.to_thread(one.fetch, sample, tmp_path / "l", wanted=wanted, peer=address, within_s=30) == 0


def test_a_hole_of_genuine_zeros_is_no_loss(tmp_path: Path, node: ModuleType) -> None:
    """File systems that compress keep zeros as holes: such a piece is hashed before it is called lost."""
    folder = tmp_path / "zeros"
    folder.mkdir()
    with (folder / "z.bin").open("wb") as file:
        file.write(os.urandom(1 << 18))
        file.truncate(3 << 18)
    metainfo = read_metainfo(make_torrent(folder / "z.bin", piece_length=1 << 18))
    assert lost_pieces(folder, metainfo, Bitfield.full(3)).count() == 0
    node.Folders(tmp_path).punch(folder / "z.bin", [(0, 4096)])
    assert lost_pieces(folder, metainfo, Bitfield.full(3)).indices() == [0]
    assert lost_pieces(folder, metainfo, Bitfield.from_indices([1], 3)).count() == 0


async def test_one_unreadable_resume_file_does_not_stop_the_node(stopped: Any, engines: Any, tmp_path: Path) -> None:
    """Garbage, a foreign file and a file under a wrong name are left out; the good torrent starts."""
    sample, _ = await stopped()
    resume = tmp_path / "node1" / "state" / "resume"
    good = resume / f"{sample.metainfo.info_hash}.resume"
    (resume / f"{'a' * 40}.resume").write_bytes(b"d4:spam4:eggse")
    (resume / f"{'b' * 40}.resume").write_bytes(good.read_bytes())
    (resume / f"{'c' * 40}.resume").write_bytes(good.read_bytes()[:-40])
    (resume / f"{'d' * 40}.resume.tmp").write_bytes(b"half")
    (resume / "notes.resume").write_bytes(b"mine")
    engine = await engines(1)
    assert set(engine.holdings()) == {sample.metainfo.info_hash}
    assert not list(resume.glob("*.tmp"))
    assert (resume / "notes.resume").exists()


async def test_a_lost_state_does_not_mean_fetching_again(
    stopped: Any, engines: Any, until: Any, tmp_path: Path
) -> None:
    """Files that lie there without a resume file are hashed when much of them is there, and kept."""
    sample, _ = await stopped()
    shutil.rmtree(tmp_path / "node1" / "state")
    engine = await engines(1)
    assert engine.holdings() == {}
    await engine.want(sample.item, sample.metainfo, sample.pieces(*range(20)))
    await until(lambda: engine.holdings()[sample.metainfo.info_hash].missing.count() == 0)


async def test_what_lies_there_without_a_resume_file_is_held_again_if_it_is_right(
    stopped: Any, engines: Any, tmp_path: Path
) -> None:
    """With the state lost, pieces with the right hash are held again; only the blocks of the others are given back."""
    sample, folder = await stopped(wanted=range(3))
    shutil.rmtree(tmp_path / "node1" / "state")
    with (folder / "x.bin").open("r+b") as damaged:
        damaged.seek((1 << 18) + 99)
        damaged.write(b"not these bytes")
    engine = await engines(1)
    await engine.want(sample.item, sample.metainfo, sample.pieces(30))
    assert engine.holdings()[sample.metainfo.info_hash].have == sample.pieces(0, 2)
    assert 0 <= (folder / "x.bin").stat().st_blocks * 512 - (2 << 18) < 1 << 16


async def test_adopting_fetches_nothing(stopped: Any, engines: Any, tmp_path: Path) -> None:
    """A torrent that is taken up from its files alone holds what is right and wants nothing more."""
    sample, _ = await stopped(wanted=range(3))
    shutil.rmtree(tmp_path / "node1" / "state")
    engine = await engines(1)
    await engine.adopt(sample.item, sample.metainfo)
    holding = engine.holdings()[sample.metainfo.info_hash]
    assert holding.have == sample.pieces(0, 1, 2)
    assert holding.missing.count() == 0


async def test_files_that_vanish_while_they_are_served_are_missed(
    stopped: Any, engines: Any, until: Any, client: Any, tmp_path: Path
) -> None:
    """A truncated file is noticed at the first failed read: the pieces are no longer offered, the failure is shown."""
    sample, folder = await stopped()
    engine = await engines(1)
    info_hash = sample.metainfo.info_hash
    os.truncate(folder / "x.bin", 5 << 18)
    leech = client(4).add(sample, tmp_path / "leech", wanted=sample.pieces(*range(20)))
    leech.connect_peer(("127.0.60.1", engine.listen_port))
    await until(lambda: engine.holdings()[info_hash].have == sample.pieces(*range(5)))
    assert engine.holdings()[info_hash].failure is not None


async def test_a_port_that_is_taken_names_the_cure(engines: Any) -> None:
    """The node does not run unheard: no silent move to another port."""
    engine = await engines(1)
    with pytest.raises(EngineError, match=r"choose a free port"):
        await engines(2, listen=(f"127.0.60.1:{engine.listen_port}",))
    assert engine.listen_port > 0
