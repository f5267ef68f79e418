"""A private DHT on loopback: who finds whom."""

import asyncio
from pathlib import Path
from typing import Any

from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address


async def test_three_engines_find_each_other_through_a_private_dht(
    engines: Any, make_sample: Any, until: Any, tmp_path: Path
) -> None:
    """The first node bootstraps from nobody, the others from it; without a tracker or an introduction the holder is
    found, the pieces are fetched, and a lookup names every peer but ourselves.
    """
    sample = make_sample(files={"x.bin": 5 << 18})
    info_hash = sample.metainfo.info_hash
    first = await engines(1, dht=True)
    bootstrap = (("127.0.60.1", first.listen_port),)
    others = [await engines(number, dht=True, dht_bootstrap=bootstrap) for number in (2, 3)]
    holder = tmp_path / "node2" / "data" / "c" / f"x~{info_hash[:8]}"
    holder.mkdir(parents=True)
    (holder / "x.bin").write_bytes((sample.root / "x.bin").read_bytes())
    await others[0].want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    await others[1].want(sample.item, sample.metainfo, sample.pieces(0, 1))
    await first.want(sample.item, sample.metainfo, sample.pieces(3, 4))
    await until(lambda: first.holdings()[info_hash].have == sample.pieces(3, 4), within_s=60)
    await until(lambda: others[1].holdings()[info_hash].have == sample.pieces(0, 1), within_s=60)
    await until(lambda: all(engine.dht_nodes >= 1 for engine in (first, *others)))
    expected = {Address(host=f"127.0.60.{n + 2}", port=engine.listen_port) for n, engine in enumerate(others)}
    found: set[Address] = set()
    async with asyncio.timeout(60):
        while not expected <= found:
            found |= set(await first.find_peers(info_hash) or ())
    assert Address(host="127.0.60.1", port=first.listen_port) not in found


async def test_silence_is_unknown_not_none(engines: Any, make_sample: Any) -> None:
    """Without a DHT, and from a DHT without nodes, a lookup says None; of a private torrent nothing is asked."""
    sample = make_sample(files={"x.bin": 1000})
    off = await engines(1)
    assert await off.find_peers(sample.metainfo.info_hash) is None
    lonely = await engines(2, dht=True)
    assert await lonely.find_peers(sample.metainfo.info_hash) is None
