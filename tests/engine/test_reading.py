"""What is read is what the files hold of held pieces, and nothing else."""

from random import Random
from typing import Any

import pytest

from smartnode.domain.pieces import Bitfield, PieceRange
from smartnode.domain.proof import Block
from smartnode.domain.swarm import Address
from smartnode.errors import EngineError
from smartnode.metainfo.blocks import choose

KIB16 = 16 << 10


@pytest.fixture
async def holding(engines: Any, make_sample: Any, seeder: Any, until: Any) -> Any:
    """An engine that holds *indices* of a dataset (None: all), and has not saved them."""

    async def hold(indices: Any = None, files: Any = None) -> Any:
        sample = make_sample(files=files)
        engine, peer = await engines(1), seeder(sample)
        wanted = Bitfield.full(sample.count) if indices is None else sample.pieces(*indices)
        await engine.want(sample.item, sample.metainfo, wanted)
        await engine.introduce(sample.metainfo.info_hash, [Address(host=peer.host, port=peer.port)])
        await until(lambda: engine.holdings()[sample.metainfo.info_hash].have == wanted)
        return engine, sample

    return hold


def bytes_of(sample: Any, block: Block) -> bytes:
    """The block as the publisher's files have it."""
    whole = b"".join((sample.root / file.path).read_bytes() for file in sample.metainfo.files)
    start = block.piece * sample.metainfo.layout.piece_length + block.begin
    return whole[start : start + block.length]


async def test_blocks_are_read_as_the_publisher_has_them(holding: Any) -> None:
    """Held pieces give their blocks right after they came, in the order asked, the short last block included; the
    torrent goes on as before.
    """
    engine, sample = await holding([0, 3, 39, 40])
    info_hash, before = sample.metainfo.info_hash, engine.holdings()
    blocks = [
        Block(piece=40, begin=0, length=777),
        Block(piece=3, begin=5 * KIB16, length=KIB16),
        Block(piece=0, begin=0, length=KIB16),
    ]
    assert await engine.read(info_hash, blocks) == [bytes_of(sample, b) for b in blocks]
    assert await engine.read(info_hash, []) == []
    assert engine.holdings()[info_hash].have == before[info_hash].have
    assert engine._torrents[info_hash].handle is not None


async def test_a_block_may_span_files(holding: Any) -> None:
    """Any three blocks that a proof may ask for are read across the seams of small files."""
    files = {"d/a.bin": 300_000, "d/b.bin": 10, "d/c.bin": 900_000, "d/e.bin": 262_144}
    engine, sample = await holding(files=files)
    seam = Block(piece=1, begin=2 * KIB16, length=KIB16)
    every = PieceRange(first=0, last=sample.count - 1)
    for blocks in ((seam,), *(choose(sample.metainfo.layout, every, Random(n)) for n in range(40))):
        assert await engine.read(sample.metainfo.info_hash, blocks) == [bytes_of(sample, b) for b in blocks]


async def test_what_is_not_held_is_not_read(holding: Any) -> None:
    """A piece that is missing or was let go, a torrent that is not there, and a block that leaves its piece are
    errors.
    """
    engine, sample = await holding([0, 1, 2])
    info_hash = sample.metainfo.info_hash
    first, third, ninth = (Block(piece=n, begin=0, length=KIB16) for n in (0, 2, 9))
    with pytest.raises(EngineError, match=r"piece 9 of the torrent .* is not held"):
        await engine.read(info_hash, [first, ninth])
    await engine.evict(info_hash, sample.pieces(2))
    with pytest.raises(EngineError, match=r"piece 2 of the torrent .* is not held"):
        await engine.read(info_hash, [third])
    with pytest.raises(EngineError, match=r"the torrent 0000.* is not held"):
        await engine.read("0" * 40, [first])
    for block in (Block(piece=0, begin=(1 << 18) - 1, length=2), Block(piece=41, begin=0, length=1)):
        with pytest.raises(EngineError, match=r"leave the piece"):
            await engine.read(info_hash, [block])
    assert await engine.read(info_hash, [first]) == [bytes_of(sample, first)]


async def test_what_the_file_lost_is_not_read(holding: Any) -> None:
    """A file that was cut short, holed or removed behind our back gives an error, never zeros."""
    engine, sample = await holding([0, 1, 2, 3])
    info_hash = sample.metainfo.info_hash
    await engine.save()
    path = engine._torrents[info_hash].folder / "x.bin"
    third, fourth = (Block(piece=n, begin=0, length=KIB16) for n in (2, 3))
    with path.open("r+b") as file:
        file.truncate((3 << 18) + 100)
    with pytest.raises(EngineError, match=r"piece 3 of 'x.bin' is not in its file any more"):
        await engine.read(info_hash, [fourth])
    assert await engine.read(info_hash, [third]) == [bytes_of(sample, third)]
    with path.open("r+b") as file:
        file.truncate(2 << 18)
        file.truncate(41 << 18)
    with pytest.raises(EngineError, match=r"piece 2 of 'x.bin' is not in its file any more"):
        await engine.read(info_hash, [third])
    path.unlink()
    with pytest.raises(EngineError, match=r"piece 2 of 'x.bin' is not in its file any more"):
        await engine.read(info_hash, [third])
