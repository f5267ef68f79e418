"""Fetching, holding, serving."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtorrent as lt

from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.swarm import Address, Holder, Witness


async def test_exactly_the_wanted_pieces_are_fetched_from_a_web_seed_and_a_peer(
    engines: Any, make_sample: Any, seeder: Any, serve: Any, until: Any, tmp_path: Path
) -> None:
    """Only wanted pieces are requested, from both sources, and the allocated bytes are the held bytes."""
    sample = make_sample(web_seeds=(), files={"x.bin": 64 << 18})
    address = serve(sample.root)
    # The peer alone is too slow, so the web seed must have helped; both deliver verified pieces.
    peer = seeder(sample, upload_rate_limit=2 << 20)
    peer.session.set_peer_class_filter(_everyone())
    engine = await engines(1)
    wanted = Bitfield.from_indices([*range(3, 30), 40, 63], sample.count)
    await engine.want(sample.item, sample.metainfo, wanted)
    info_hash = sample.metainfo.info_hash
    engine.use_web_seeds(info_hash, [f"{address}x.bin"])
    await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].have == wanted)
    holding = engine.holdings()[info_hash]
    assert holding.missing.count() == 0
    assert holding.held_bytes == sample.metainfo.layout.bytes_in(wanted)
    held = tmp_path / "node1" / "data" / ".partial" / "c" / f"x~{info_hash[:8]}" / "x.bin"
    await engine.save()
    assert 0 <= held.stat().st_blocks * 512 - holding.held_bytes < 1 << 16
    original = (sample.root / "x.bin").read_bytes()
    found = held.read_bytes()
    for piece in wanted.indices():
        assert found[piece << 18 : (piece + 1) << 18] == original[piece << 18 : (piece + 1) << 18]


async def test_a_web_seed_alone_is_enough(engines: Any, make_sample: Any, serve: Any, until: Any) -> None:
    """A dataset that only its mirror has is fetched from there."""
    sample = make_sample(files={"x.bin": 5 * (1 << 18) + 9})
    engine = await engines(1)
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    info_hash = sample.metainfo.info_hash
    engine.use_web_seeds(info_hash, [f"{serve(sample.root)}x.bin"])
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)


async def test_a_folder_torrent_comes_from_the_folder_above_it(
    engines: Any, make_sample: Any, serve: Any, until: Any
) -> None:
    """BEP 19: the web seed of a folder torrent is the address of the folder's parent."""
    sample = make_sample(files={"d/a é.bin": 300_000, "d/sub/b.bin": 500_000})
    engine = await engines(1)
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    info_hash = sample.metainfo.info_hash
    engine.use_web_seeds(info_hash, [serve(sample.root)])
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)


async def test_a_whole_item_moves_to_where_people_open_it(
    engines: Any, make_sample: Any, seeder: Any, until: Any, tmp_path: Path
) -> None:
    """A single file and a folder torrent lie in the place of whole items once complete, and nowhere else."""
    for number, files in enumerate(({"x.bin": 700_000}, {"d/a.bin": 300_000, "d/b.bin": 300_001})):
        sample = make_sample(files=files, name=f"src{number}")
        engine = await engines(number + 1)
        await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
        info_hash = sample.metainfo.info_hash
        peer = seeder(sample)
        await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
        data = tmp_path / f"node{number + 1}" / "data"
        whole = data / "c" / f"x~{info_hash[:8]}"
        await until(lambda whole=whole, files=files: all((whole / name).exists() for name in files))
        for name in files:
            assert (whole / name).read_bytes() == (sample.root / name).read_bytes()
        partial = data / ".partial" / "c" / f"x~{info_hash[:8]}"
        await until(lambda partial=partial: not partial.exists())
        await engine.stop()
        again = await engines(number + 1)
        assert again.holdings()[info_hash].have.count() == sample.count


async def test_connected_peers_show_their_pieces_and_who_they_are(
    engines: Any, make_sample: Any, client: Any, until: Any
) -> None:
    """Two partial smartnodes stay connected and see each other's bitfields; a foreign client is no smartnode."""
    sample = make_sample()
    stranger = client(2)
    stranger.add(sample, sample.root)
    one, two = await engines(1), await engines(2)
    halves = (sample.pieces(*range(20)), sample.pieces(*range(10, 30)))
    info_hash = sample.metainfo.info_hash
    for engine, half in zip((one, two), halves, strict=True):
        await engine.want(sample.item, sample.metainfo, half)
        await engine.introduce(info_hash, [Address(host=stranger.host, port=stranger.port)])
    await until(lambda: one.holdings()[info_hash].have == halves[0] and two.holdings()[info_hash].have == halves[1])
    await one.introduce(info_hash, [Address(host="127.0.60.2", port=two.listen_port)])
    now = datetime.now(UTC)
    seen = {}
    while "127.0.60.2" not in seen or seen["127.0.60.2"].pieces != halves[1]:
        seen = {holder.address.host: holder for holder in await one.connected(info_hash, now)}
    assert seen["127.0.60.2"].smartnode
    assert seen["127.0.60.2"].client == "smartnode/0.1.0 (d4c/1)"
    assert seen["127.0.60.2"].peer_id == two._settings.node_id
    assert seen["127.0.60.2"].witness is Witness.PEER_INFO
    assert seen["127.0.60.2"].last_contact == now
    back: dict[str, Holder] = {}
    while "127.0.60.1" not in back or back["127.0.60.1"].pieces != halves[0]:  # each side sees the other in its time
        back = {h.address.host: h for h in await two.connected(info_hash, now)}
    assert not any(h.smartnode for h in (*seen.values(), *back.values()) if h.address.host == stranger.host)


async def test_new_wants_and_taken_back_ones_keep_what_is_held(
    engines: Any, make_sample: Any, seeder: Any, until: Any
) -> None:
    """Remap changes the target only: pieces held stay held and served."""
    sample = make_sample()
    engine, peer = await engines(1), seeder(sample)
    info_hash = sample.metainfo.info_hash
    await engine.want(sample.item, sample.metainfo, sample.pieces(1, 2, 3))
    await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].have == sample.pieces(1, 2, 3))
    await engine.remap(info_hash, sample.pieces(3, 4))
    await until(lambda: engine.holdings()[info_hash].have == sample.pieces(1, 2, 3, 4))
    assert engine.holdings()[info_hash].wanted == sample.pieces(3, 4)
    await engine.want(sample.item, sample.metainfo, sample.pieces(9))
    await until(lambda: engine.holdings()[info_hash].have == sample.pieces(1, 2, 3, 4, 9))


async def test_the_upload_limit_binds_on_loopback(
    engines: Any, make_sample: Any, client: Any, until: Any, tmp_path: Path
) -> None:
    """Libtorrent spares local peers by default; ours do not escape the volunteer's limit."""
    sample = make_sample(files={"x.bin": 6 << 20})
    engine = await engines(1, upload_limit=1 << 20)
    info_hash = sample.metainfo.info_hash
    whole = tmp_path / "node1" / "data" / "c" / f"x~{info_hash[:8]}"
    whole.mkdir(parents=True)
    (whole / "x.bin").write_bytes((sample.root / "x.bin").read_bytes())
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)
    handle = client(3).add(sample, tmp_path / "leech")
    began = time.monotonic()
    handle.connect_peer(("127.0.60.1", engine.listen_port))
    await until(lambda: handle.status().num_pieces >= 8)
    # 2 MiB at 1 MiB/s; without the limit it is a fraction of a second, and a busy host only makes it longer.
    assert time.monotonic() - began > 1.2
    engine.set_limits(upload=Bytes(0), download=Bytes(0))
    await until(lambda: handle.status().is_seeding)


def _everyone() -> lt.ip_filter:
    classes = lt.ip_filter()
    classes.add_rule("0.0.0.0", "255.255.255.255", 1 << int(lt.session.global_peer_class_id))
    return classes
