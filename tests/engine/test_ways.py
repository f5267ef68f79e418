"""How connections are made: encrypted or not, TCP or uTP, IPv4 or IPv6; and what a connected peer says of itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.domain.identity import prober_of
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address

FORCED, DISABLED = int(lt.enc_policy.pe_forced), int(lt.enc_policy.pe_disabled)


async def hold(engine: Any, sample: Any, folder: Path, until: Any) -> None:
    """Let *engine* hold the whole sample, from its own folder."""
    info_hash = sample.metainfo.info_hash
    whole = folder / "data" / "c" / f"x~{info_hash[:8]}"
    whole.mkdir(parents=True)
    (whole / "x.bin").write_bytes((sample.root / "x.bin").read_bytes())
    await engine.adopt(sample.item, sample.metainfo)
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)


@pytest.mark.parametrize(
    "settings",
    [
        {"in_enc_policy": FORCED, "out_enc_policy": FORCED},
        {"in_enc_policy": DISABLED, "out_enc_policy": DISABLED},
        {"enable_incoming_tcp": False, "enable_outgoing_tcp": False, "enable_outgoing_utp": True},
    ],
    ids=["encrypted", "plain", "utp"],
)
async def test_strangers_fetch_from_us_whatever_they_speak(
    settings: dict[str, object], engines: Any, make_sample: Any, client: Any, until: Any, tmp_path: Path
) -> None:
    """One that insists on encryption, one that has none, one that only has uTP: all are served."""
    sample = make_sample(files={"x.bin": 1 << 20})
    engine = await engines(1)
    await hold(engine, sample, tmp_path / "node1", until)
    handle = client(1, **settings).add(sample, tmp_path / "leech")
    handle.connect_peer(("127.0.60.1", engine.listen_port))
    await until(lambda: handle.status().is_seeding)


@pytest.mark.parametrize("policy", [FORCED, DISABLED], ids=["encrypted", "plain"])
async def test_we_fetch_from_strangers_whatever_they_speak(
    policy: int, engines: Any, make_sample: Any, seeder: Any, until: Any
) -> None:
    """We dial one that insists on encryption and one that has none."""
    sample = make_sample(files={"x.bin": 1 << 20})
    peer = seeder(sample, in_enc_policy=policy, out_enc_policy=policy)
    engine = await engines(1)
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    info_hash = sample.metainfo.info_hash
    await engine.introduce(info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)


async def test_ipv6_is_listened_on_and_dialled(
    engines: Any, make_sample: Any, seeder: Any, until: Any, tmp_path: Path
) -> None:
    """A node on both families fetches from a peer that has IPv6 only, and serves one."""
    sample = make_sample(files={"x.bin": 1 << 20})
    peer = seeder(sample, listen_interfaces="[::1]:0", outgoing_interfaces="")
    engine = await engines(1, listen=("127.0.60.1:0", "[::1]:0"), outgoing=None)
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    info_hash = sample.metainfo.info_hash
    await engine.introduce(info_hash, [Address(host="::1", port=peer.port)])
    await until(lambda: engine.holdings()[info_hash].have.count() == sample.count)
    ours = next(address for address in engine._live.listening if address.host == "::1")
    leech = lt.session(peer.session.get_settings() | {"listen_interfaces": "[::1]:0", "peer_fingerprint": "-XX0001-"})
    params = lt.load_torrent_buffer(sample.metainfo.raw)
    params.save_path, params.url_seeds = str(tmp_path / "leech6"), []
    params.flags &= ~int(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    handle = leech.add_torrent(params)
    handle.connect_peer((ours.host, ours.port))
    await until(lambda: handle.status().is_seeding)
    leech.pause()


async def test_a_peer_that_wants_nothing_more_is_seen_as_such(
    engines: Any, make_sample: Any, seeder: Any, client: Any, until: Any, tmp_path: Path
) -> None:
    """BEP 21: a partial seed says upload_only, a peer that still fetches does not."""
    sample = make_sample(files={"x.bin": 2 << 20})
    stranger = seeder(sample)
    one, two = await engines(1), await engines(2)
    info_hash = sample.metainfo.info_hash
    await two.want(sample.item, sample.metainfo, sample.pieces(0, 1))
    await two.introduce(info_hash, [Address(host=stranger.host, port=stranger.port)])
    await until(lambda: two.holdings()[info_hash].missing.count() == 0)
    lonely = client(5)
    lonely.add(sample, tmp_path / "leech", wanted=sample.pieces(7))
    await one.want(sample.item, sample.metainfo, sample.pieces(3))
    peers = [Address(host="127.0.60.2", port=two.listen_port), Address(host=lonely.host, port=lonely.port)]
    await one.introduce(info_hash, peers)
    seen: dict[str, bool] = {}
    while not (seen.get("127.0.60.2") and lonely.host in seen):
        seen = {h.address.host: h.upload_only for h in await one.connected(info_hash, datetime.now(UTC))}
    assert seen[lonely.host] is False


async def test_who_only_looks_is_no_peer(
    engines: Any, make_sample: Any, client: Any, until: Any, tmp_path: Path
) -> None:
    """The probe of another node is connected for a moment and is not told of; whoever else is connected is."""
    sample = make_sample(files={"x.bin": 1 << 20})
    engine = await engines(1)
    info_hash = sample.metainfo.info_hash
    peer, looking = client(5), client(6, handshake_client_version=prober_of("0.1.0"))
    handles = [each.add(sample, tmp_path / each.host) for each in (peer, looking)]
    await engine.want(sample.item, sample.metainfo, sample.pieces(3))
    await engine.introduce(info_hash, [Address(host=each.host, port=each.port) for each in (peer, looking)])

    def met() -> bool:
        """Both know our name, so ours knows theirs, or will in a moment."""
        return all(any(p.client.startswith(b"smartnode/") for p in each.get_peer_info()) for each in handles)

    await until(met)
    seen: list[str] = []
    while seen != [peer.host]:
        seen = [holder.address.host for holder in await engine.connected(info_hash, datetime.now(UTC))]
