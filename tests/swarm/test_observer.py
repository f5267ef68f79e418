"""Looking at swarms: real sessions are seen with what they have; silence teaches nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.swarm import wire
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


class Peers:
    """Peers on loopback that have what they are told to have, each at an address of its own."""

    def __init__(self) -> None:
        """Begin with no peer."""
        self._servers: list[asyncio.Server] = []

    async def add(self, pieces: set[int], *, peer_id: bytes, client: str = "smartnode/1 (d4c/1)") -> Address:
        """Start one more peer."""
        field = Bitfield.from_indices(pieces, 12)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(68)
            writer.write(wire.handshake(bytes.fromhex(HASH), peer_id))
            writer.write(wire.extended_handshake(client))
            writer.write((len(field.bits) + 1).to_bytes(4, "big") + b"\x05" + field.bits)
            await reader.read()
            writer.close()

        host = f"127.0.6.{len(self._servers) + 1}"
        server = await asyncio.start_server(talk, host, 0)
        self._servers.append(server)
        return Address(host=host, port=server.sockets[0].getsockname()[1])

    async def end(self) -> None:
        """Let nobody answer any more."""
        for server in self._servers:
            server.close()


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Peers that are gone after the test."""
    started = Peers()
    yield started
    await started.end()


def observer(*addresses: Address, found: bool = True) -> Observer:
    """An observer that may probe loopback and looks quickly."""
    eyes = Eyes(
        node_id=ME,
        network_id="d4c",
        manners=Manners(client="me", deadline_s=3, settle_s=0.05),
        allow_private=True,
        memory=timedelta(hours=72),
    )
    return Observer(Named(addresses=addresses if found else None), eyes)


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


async def test_one_view_per_look_in_order(peers: Peers) -> None:
    """Views come back in the order asked, whoever answers first."""
    one = await peers.add({1}, peer_id=b"-SN0001-aaaaaaaaaaaa")
    other = InfoHash("cd" * 20)
    views = await observer(one).look([Target(info_hash=other), Target(), Target(info_hash=other)], T0)
    assert [v.info_hash for v in views] == [other, HASH, other]
