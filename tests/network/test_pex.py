"""Peers name others (BEP 11): real sessions do so in time, and the observer asks whom they name."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libtorrent as lt

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address, Holder, SwarmView
from smartnode.swarm.observer import Eyes, Observer
from smartnode.swarm.probe import Manners, probe
from tests.plain import plain_session

PIECE, COUNT = 1 << 15, 8
T0 = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = Manners(client="smartnode/0 probe", local_host="127.0.90.1", settle_s=0.2)


def torrent(folder: Path, number: int = 0) -> bytes:
    """A torrent of 8 pieces; its file lies in *folder*."""
    (folder / f"{number}.bin").write_bytes(b"".join(bytes([n + 8 * number]) * PIECE for n in range(COUNT)))
    made = lt.create_torrent(lt.list_files(str(folder / f"{number}.bin"), flags=0), PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(folder))
    return bytes(lt.bencode(made.generate()))


def member(host: str, folder: Path, torrents: Sequence[bytes], *, have: int) -> lt.session:
    """A real session at *host* that has the first *have* pieces and keeps its connections to other partial seeds."""
    session = plain_session(host, port=6881, close_redundant_connections=False, allow_multiple_connections_per_ip=True)
    for raw in torrents:
        params = lt.load_torrent_buffer(raw)
        params.save_path = str(folder)
        params.flags = params.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
        params.have_pieces = [n < have for n in range(COUNT)]
        params.piece_priorities = [4 if n < have else 0 for n in range(COUNT)]
        session.add_torrent(params)
    return session


@asynccontextmanager
async def star(folder: Path, torrents: Sequence[bytes], *, around: int) -> AsyncIterator[list[Address]]:
    """One session with *around* others connected to it; their addresses, the middle one first."""
    sessions = [member(f"127.0.{70 + n}.1", folder, torrents, have=1 + n) for n in range(around + 1)]
    middle, *others = sessions
    async with asyncio.timeout(30):
        while not all(h.status().num_pieces for s in sessions for h in s.get_torrents()):
            await asyncio.to_thread(sessions[0].wait_for_alert, 50)
        for other in others:
            for handle in other.get_torrents():
                handle.connect_peer(("127.0.70.1", 6881))
        while not all(len(h.get_peer_info()) == around for h in middle.get_torrents()):
            await asyncio.to_thread(sessions[0].wait_for_alert, 50)
            sessions[0].pop_alerts()
    yield [Address(host=f"127.0.{70 + n}.1", port=6881) for n in range(around + 1)]
    del middle, others, sessions


def key_of(raw: bytes) -> InfoHash:
    """The info-hash of a torrent."""
    return InfoHash(str(lt.load_torrent_buffer(raw).info_hashes.v1))


@dataclass(frozen=True, kw_only=True)
class Target:
    """One swarm to look at."""

    info_hash: InfoHash
    num_pieces: int = COUNT
    known: SwarmView | None = None
    connected: tuple[Holder, ...] = ()
    trackers: tuple[str, ...] = ()
    size: Bytes = Bytes(PIECE * COUNT)
    private: bool = False
    busy: frozenset[Address] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Named:
    """A DHT that names the same peers each time."""

    addresses: tuple[Address, ...]

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Name them."""
        assert info_hash
        return self.addresses


class Trackers:
    """Trackers that name the same peers each time."""

    def __init__(self, *addresses: Address) -> None:
        """Name *addresses*."""
        self._addresses = addresses

    async def peers(
        self, info_hash: InfoHash, trackers: Sequence[str], *, size: Bytes, now: datetime
    ) -> tuple[Address, ...] | None:
        """Name them."""
        assert info_hash
        assert trackers
        assert size
        assert now
        return self._addresses


def observer(dht: Sequence[Address], *trackers: Address) -> Observer:
    """An observer whose DHT and whose trackers name these."""
    eyes = Eyes(
        node_id=NodeId(b"-SN0001-000000000000"),
        network_id="d4c",
        manners=LOOKS,
        allow_private=True,
        memory=timedelta(hours=72),
    )
    return Observer(Named(addresses=tuple(dht)), eyes, Trackers(*trackers))


async def test_a_real_session_names_whom_it_is_connected_to(tmp_path: Path) -> None:
    """The first PEX message of a real session comes while the probe waits; our own address is not in it, and neither
    is anybody when none is wanted.
    """
    raw = torrent(tmp_path)
    async with star(tmp_path, [raw], around=3) as (middle, *others):
        seen = await probe(middle, key_of(raw), num_pieces=COUNT, manners=LOOKS, pex=True)
        assert set(seen.named) == set(others)
        assert seen.pieces.indices() == [0]
        unasked = await probe(middle, key_of(raw), num_pieces=COUNT, manners=LOOKS)
        assert unasked.named == ()


async def test_many_torrents_of_one_session_are_heard_in_time(tmp_path: Path) -> None:
    """A session spreads its first messages over its torrents (measured for 12 on one host: six after 1.0 s, all after
    2.0 s); who waits hears all of them.
    """
    many = [torrent(tmp_path, number) for number in range(8)]
    async with star(tmp_path, many, around=2) as (middle, *others):
        patient = replace(LOOKS, pex_s=8.0, deadline_s=20.0)
        looks = (probe(middle, key_of(raw), num_pieces=COUNT, manners=patient, pex=True) for raw in many)
        heard = [set(seen.named) for seen in await asyncio.gather(*looks)]
    assert heard == [set(others)] * 8


async def test_the_observer_asks_whom_peers_name(tmp_path: Path) -> None:
    """One address from the DHT leads to the whole swarm, each holder with exactly its pieces."""
    raw = torrent(tmp_path)
    async with star(tmp_path, [raw], around=3) as places:
        (view,) = await observer(places[:1]).look([Target(info_hash=key_of(raw))], T0)
    assert {h.address: h.pieces.count() for h in view.holders} == {place: n + 1 for n, place in enumerate(places)}
    assert all(h.upload_only for h in view.holders)


async def test_a_private_torrent_is_asked_of_its_trackers_alone(tmp_path: Path) -> None:
    """BEP 27: neither the DHT's word nor a peer's leads anywhere."""
    raw = torrent(tmp_path)
    async with star(tmp_path, [raw], around=3) as places:
        look = Target(info_hash=key_of(raw), trackers=("udp://127.0.0.1:9/announce",), private=True)
        (view,) = await observer(places[1:2], places[0]).look([look], T0)
    assert [h.address for h in view.holders] == places[:1]
