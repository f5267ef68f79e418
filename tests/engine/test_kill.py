"""kill -9 at seeded moments: what the resume file says is true of the disk, and only what was
unsaved is fetched again.
"""

import asyncio
import hashlib
import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.metainfo.resume import read_resume

HOST = "127.0.60.1"
PROGRAM = Path(__file__).with_name("node.py")
WANTED = range(60)
EVICTED = ([1, 2, 3, 10], [20, 21], [59, 40, 0])


async def run(folder: Path, sample: Any, peer: Any, *, within_s: float = 60, **request: Any) -> tuple[int, list[dict]]:
    """Run the node until it stops or dies; returns its exit code and its steps."""
    asked = folder.with_suffix(".json")
    asked.write_text(
        json.dumps(
            {
                "folder": str(folder),
                "torrent": str(sample.torrent_path),
                "host": HOST,
                "wanted": list(WANTED),
                "peer": [peer.host, peer.port],
            }
            | request
        )
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), str(asked), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    async with asyncio.timeout(within_s):
        out, _ = await child.communicate()
    steps = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    return child.returncode, steps


def resumed_in(folder: Path, sample: Any) -> Any:
    """Read the node's resume file; None when it died before its first one."""
    path = folder / "state" / "resume" / f"{sample.metainfo.info_hash}.resume"
    return read_resume(path.read_bytes()) if path.exists() else None


def wrong_pieces(folder: Path, sample: Any, have: Bitfield) -> list[int]:
    """Hash every held piece where it lies now."""
    files = list((folder / "data").rglob("x.bin"))
    assert len(files) <= 1
    torrent = lt.load_torrent_buffer(sample.metainfo.raw).ti
    raw = files[0].read_bytes() if files else b""
    return [
        p
        for p in have.indices()
        if hashlib.sha1(raw[p << 18 : (p + 1) << 18], usedforsecurity=False).digest() != torrent.hash_for_piece(p)
    ]


async def serves_only_the_truth(engine: Any, sample: Any, client: Any, folder: Path) -> None:
    """A stranger fetches all that the node says it has, without one bad hash."""
    have = engine.holdings()[sample.metainfo.info_hash].have
    address = (HOST, engine.listen_port)
    one = client(4)
    failed = await asyncio.to_thread(one.fetch, sample, folder / "leech", wanted=have, peer=address, within_s=30)
    assert failed == 0


@pytest.mark.parametrize("seed", range(2))
async def test_killed_while_fetching(
    make_sample: Any, seeder: Any, engines: Any, client: Any, until: Any, tmp_path: Path, seed: int
) -> None:
    """After the kill every piece of the resume file is right on the disk, none of the saved ones is missing, and the
    restarted node holds them at once and serves them.
    """
    sample = make_sample(files={"x.bin": 61 << 18})
    peer, folder = seeder(sample), tmp_path / "node"
    moment = random.Random(seed).uniform(0.1, 1.2)
    code, steps = await run(folder, sample, peer, die_after_s=moment, limit=12 << 20)
    assert code in {-signal.SIGKILL, 0}
    resumed = resumed_in(folder, sample)
    if resumed is None:
        return
    assert wrong_pieces(folder, sample, resumed.have) == []
    assert resumed.have.count() >= max((step["saved"] for step in steps if "saved" in step), default=0)
    peer.session.pause()
    engine = await engines(1, folder=folder)
    info_hash = sample.metainfo.info_hash
    assert engine.holdings()[info_hash].have == resumed.have
    peer = seeder(sample, number=2)
    await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].missing.count() == 0)
    await serves_only_the_truth(engine, sample, client, tmp_path)


@pytest.mark.parametrize(("at", "after"), [(0, False), (1, True)])
async def test_killed_between_the_resume_file_and_the_holes(
    make_sample: Any, seeder: Any, engines: Any, client: Any, tmp_path: Path, at: int, after: Any
) -> None:
    """Evicted pieces are gone for good, their blocks are given back by the next start, the rest is right."""
    sample = make_sample(files={"x.bin": 61 << 18})
    peer, folder = seeder(sample), tmp_path / "node"
    # The first holes are those of the fresh start (none: no file), so the n-th punch is that of the n-th eviction.
    code, _ = await run(folder, sample, peer, evict=EVICTED, die_at_punch=at, after=after)
    assert code == -signal.SIGKILL
    peer.session.pause()
    gone = sample.pieces(*(piece for pieces in EVICTED[: at + 1] for piece in pieces))
    kept = sample.pieces(*WANTED) - gone
    assert resumed_in(folder, sample).have == kept
    assert wrong_pieces(folder, sample, kept) == []
    engine = await engines(1, folder=folder)
    assert engine.holdings()[sample.metainfo.info_hash].have == kept
    path = next((folder / "data").rglob("x.bin"))
    assert 0 <= path.stat().st_blocks * 512 - (kept.count() << 18) < 1 << 16
    await serves_only_the_truth(engine, sample, client, tmp_path)


@pytest.mark.parametrize("seed", range(2))
async def test_killed_somewhere_while_evicting_and_fetching_again(
    make_sample: Any, seeder: Any, engines: Any, client: Any, tmp_path: Path, seed: int
) -> None:
    """Whatever step dies, nothing that is called held is wrong."""
    sample = make_sample(files={"x.bin": 61 << 18})
    peer, folder = seeder(sample), tmp_path / "node"
    moment = random.Random(seed).uniform(0.6, 2.0)
    code, _ = await run(folder, sample, peer, evict=EVICTED * 20, again=True, die_after_s=moment)
    assert code == -signal.SIGKILL
    resumed = resumed_in(folder, sample)
    assert wrong_pieces(folder, sample, resumed.have) == []
    engine = await engines(1, folder=folder)
    await serves_only_the_truth(engine, sample, client, tmp_path)


@pytest.mark.parametrize(
    "rounds", [60, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(600)])], ids=["short", "long"]
)
async def test_lives_through_evictions_while_pieces_arrive(
    make_sample: Any, seeder: Any, tmp_path: Path, rounds: int
) -> None:
    """A torrent that leaves while the disk is still busy with its pieces takes nothing with it: with several disk
    threads libtorrent 2.1.1 dies here of SIGSEGV, about once in a few thousand evictions.
    """
    sample = make_sample(files={"x.bin": 61 << 18})
    peer, folder = seeder(sample), tmp_path / "node"
    code, steps = await run(folder, sample, peer, evict=EVICTED * rounds, again=True, within_s=500)
    assert (code, steps[-1]) == (0, {"stopped": True})
    assert sum("evicted" in step for step in steps) == 3 * rounds
    assert wrong_pieces(folder, sample, resumed_in(folder, sample).have) == []
