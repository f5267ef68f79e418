"""Looking at swarms: real sessions are seen with what they have; silence teaches nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.metainfo import bencode
from smartnode.swarm import wire
from smartnode.swarm.manners import PER_NETWORK
from smartnode.swarm.observer import Eyes, Observer
from smartnode.swarm.probe import Manners

HASH = InfoHash("ab" * 20)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
ME = NodeId(b"-SN0001-000000000000")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A finder that names the same peers each time."""

    addresses: tuple[Address, ...] | None

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Name them for the one torrent, nobody for others."""
        return self.addresses if info_hash == HASH else ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """One swarm to look at."""

    info_hash: InfoHash = HASH
    num_pieces: int = 12
    known: SwarmView | None = None
    connected: tuple[Holder, ...] = ()
    trackers: tuple[str, ...] = ()
    size: Bytes = Bytes(12)
    private: bool = False
    busy: frozenset[Address] = frozenset()


def pex(addresses: tuple[Address, ...]) -> bytes:
    """A PEX message as a whole frame."""
    added = b"".join(ip_address(a.host).packed + a.port.to_bytes(2, "big") for a in addresses)
    body = bytes([wire.EXTENDED, wire.OUR_PEX]) + bencode.encode({b"added": added})
    return len(body).to_bytes(4, "big") + body


class Announced:
    """Trackers that name the same peers each time; they note what they were asked."""

    def __init__(self, addresses: tuple[Address, ...] | None) -> None:
        """Name *addresses*."""
        self.asked: list[tuple[InfoHash, tuple[str, ...], Bytes]] = []
        self._addresses = addresses

    async def peers(
        self, info_hash: InfoHash, trackers: Sequence[str], *, size: Bytes, now: datetime
    ) -> tuple[Address, ...] | None:
        """Name them."""
        assert now == T0
        self.asked.append((info_hash, tuple(trackers), size))
        return self._addresses


class Peers:
    """Peers on loopback that have what they are told to have, each at an address of its own."""

    def __init__(self) -> None:
        """Begin with no peer."""
        self._servers: list[asyncio.Server] = []
        self._talks: list[asyncio.Task[object]] = []

    async def add(
        self, pieces: set[int], *, peer_id: bytes, client: str = "smartnode/1 (d4c/1)", names: tuple[Address, ...] = ()
    ) -> Address:
        """Start one more peer, which says by PEX that it knows *names*."""
        field = Bitfield.from_indices(pieces, 12)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(68)
            writer.write(wire.handshake(bytes.fromhex(HASH), peer_id))
            writer.write(wire.extended_handshake(client, pex=bool(names)))
            writer.write((len(field.bits) + 1).to_bytes(4, "big") + b"\x05" + field.bits)
            if names:
                writer.write(pex(names))
            task = asyncio.current_task()
            assert task is not None
            self._talks.append(task)
            with suppress(OSError):
                await reader.read()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        host = f"127.0.6.{len(self._servers) + 1}"
        server = await asyncio.start_server(talk, host, 0)
        self._servers.append(server)
        return Address(host=host, port=server.sockets[0].getsockname()[1])

    async def end(self) -> None:
        """Let nobody answer any more."""
        for server in self._servers:
            server.close()
        if self._talks:
            await asyncio.wait(self._talks, timeout=20)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Peers that are gone after the test."""
    started = Peers()
    yield started
    await started.end()


def observer(*addresses: Address, found: bool = True, trackers: Announced | None = None) -> Observer:
    """An observer that may probe loopback and looks quickly."""
    eyes = Eyes(
        node_id=ME,
        network_id="d4c",
        manners=Manners(client="me", deadline_s=3, settle_s=0.05, pex_s=1),
        allow_private=True,
        memory=timedelta(hours=72),
    )
    return Observer(Named(addresses=addresses if found else None), eyes, trackers)


async def test_every_peer_is_seen_with_exactly_its_pieces(peers: Peers) -> None:
    """Smartnodes of our network and foreign clients are told apart; each fact names the probe."""
    one = await peers.add({1, 2}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    two = await peers.add({3}, peer_id=b"-TR3000-bbbbbbbbbbbb", client="Transmission 3.00")
    (view,) = await observer(one, two).look([Target()], T0)
    seen = {h.address: (h.pieces.indices(), h.smartnode, h.witness) for h in view.holders}
    assert seen == {one: ([1, 2], True, Witness.WIRE_PROBE), two: ([3], False, Witness.WIRE_PROBE)}
    assert (view.looked_at, view.witness) == (T0, Witness.WIRE_PROBE)


async def test_the_node_never_counts_itself(peers: Peers) -> None:
    """A lookup that leads back to this node is an answer with no other holder."""
    mine = await peers.add({1}, peer_id=bytes(ME))
    (view,) = await observer(mine).look([Target()], T0)
    assert view.holders == ()
    assert view.looked_at == T0


async def test_named_but_silent_peers_teach_nothing(peers: Peers) -> None:
    """Unknown is not zero: the view is as old as it was."""
    gone = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    (before,) = await observer(gone).look([Target()], T0)
    await peers.end()
    later = T0 + timedelta(hours=1)
    (after,) = await observer(gone).look([Target(known=before)], later)
    assert after == before
    (never,) = await observer(gone).look([Target()], later)
    assert never.looked_at is None


async def test_a_lookup_that_names_nobody_is_knowledge_and_no_lookup_is_not() -> None:
    """The DHT's word that nobody is there makes the view fresh; a DHT that is off says nothing."""
    (none,) = await observer().look([Target()], T0)
    assert (none.looked_at, none.witness) == (T0, Witness.DHT)
    (unknown,) = await observer(found=False).look([Target()], T0)
    assert unknown.looked_at is None


async def test_known_holders_are_asked_again_without_a_lookup(peers: Peers) -> None:
    """With the DHT gone, the addresses of earlier looks still answer."""
    one = await peers.add({1, 2}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    (before,) = await observer(one).look([Target()], T0)
    later = T0 + timedelta(hours=1)
    (after,) = await observer(found=False).look([Target(known=before)], later)
    assert after.looked_at == later
    assert after.holders[0].last_contact == later


async def test_who_is_being_dialled_is_not_probed(peers: Peers) -> None:
    """Many clients take one connection per address: a probe must not hold the one that the engine needs."""
    one = await peers.add({1, 2}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    two = await peers.add({3}, peer_id=b"-SN0001-bbbbbbbbbbbb")
    (view,) = await observer(one, two).look([Target(busy=frozenset({one}))], T0)
    assert [h.address for h in view.holders] == [two]


async def test_one_view_per_look_in_order(peers: Peers) -> None:
    """Views come back in the order asked, whoever answers first."""
    one = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    other = InfoHash("cd" * 20)
    views = await observer(one).look([Target(info_hash=other), Target(), Target(info_hash=other)], T0)
    assert [v.info_hash for v in views] == [other, HASH, other]


ANNOUNCE = ("udp://t.example:1/announce",)


async def test_peers_that_only_trackers_name_are_seen(peers: Peers) -> None:
    """The trackers of the look are asked once, with its size; nothing is asked for a swarm without trackers."""
    one = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    trackers = Announced((one,))
    looks = [Target(trackers=ANNOUNCE), Target(info_hash=InfoHash("cd" * 20))]
    view, other = await observer(found=False, trackers=trackers).look(looks, T0)
    assert [h.address for h in view.holders] == [one]
    assert view.witness is Witness.WIRE_PROBE
    assert trackers.asked == [(HASH, ANNOUNCE, Bytes(12))]
    assert other.holders == ()


async def test_trackers_that_name_nobody_are_a_witness_unless_another_contradicts(peers: Peers) -> None:
    """Nobody by the trackers' word is knowledge; peers in the DHT that do not answer, or silent trackers, are not."""
    look = [Target(trackers=ANNOUNCE)]
    (none,) = await observer(found=False, trackers=Announced(())).look(look, T0)
    assert (none.looked_at, none.witness, none.holders) == (T0, Witness.TRACKER, ())
    gone = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    await peers.end()
    (contradicted,) = await observer(gone, trackers=Announced(())).look(look, T0)
    assert contradicted.looked_at is None
    (reverse,) = await observer(trackers=Announced((gone,))).look(look, T0)
    assert reverse.looked_at is None
    (silent,) = await observer(found=False, trackers=Announced(None)).look(look, T0)
    assert silent.looked_at is None


async def test_hearsay_is_asked_last_and_only_once_removed(peers: Peers) -> None:
    """A peer that is known by PEX alone is asked; whom it names in its turn is not."""
    third = await peers.add({3}, peer_id=b"-SN0001-cccccccccccc")
    second = await peers.add({2}, peer_id=b"-SN0001-bbbbbbbbbbbb", names=(third,))
    first = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa", names=(second,))
    (view,) = await observer(first).look([Target()], T0)
    assert {h.address for h in view.holders} == {first, second}


async def test_hearsay_never_goes_beyond_the_limits_of_a_look(peers: Peers) -> None:
    """A peer that names a dozen in its own network gets no more of them asked than any finder would."""
    crowd = tuple([await peers.add({2}, peer_id=b"-SN0001-bbbbbbbbbb%02d" % n) for n in range(12)])
    first = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa", names=crowd)
    (view,) = await observer(first).look([Target()], T0)
    assert {h.address for h in view.holders} == {first, *crowd[: PER_NETWORK - 1]}


async def test_a_private_torrent_asks_its_trackers_alone(peers: Peers) -> None:
    """BEP 27: no DHT, and no PEX even when a peer sends it unasked."""
    hidden = await peers.add({2}, peer_id=b"-SN0001-bbbbbbbbbbbb")
    listed = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa", names=(hidden,))
    looks = [Target(trackers=ANNOUNCE, private=True)]
    (view,) = await observer(hidden, trackers=Announced((listed,))).look(looks, T0)
    assert [h.address for h in view.holders] == [listed]


async def test_a_flood_of_names_does_not_crowd_out_whom_we_know(peers: Peers) -> None:
    """Half of a look belongs to those seen before."""
    one = await peers.add({1, 2}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    (before,) = await observer(one).look([Target()], T0)
    flood = tuple(Address(host=f"127.{n}.7.1", port=3000) for n in range(1, 100))
    later = T0 + timedelta(hours=1)
    (after,) = await observer(*flood).look([Target(known=before)], later)
    assert [h.last_contact for h in after.holders] == [later]
