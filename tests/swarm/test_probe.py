"""The wire probe against real libtorrent sessions, and against peers that lie, stall or babble."""

import asyncio
from pathlib import Path

import libtorrent as lt
import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm import wire
from smartnode.swarm.probe import Manners, Sighting, probe
from tests.plain import SILENT
from tests.strangers import Talk, peer

PIECE = 1 << 15
COUNT = 24
QUICK = Manners(client="smartnode/0 probe", local_host="127.0.9.1", deadline_s=5.0, settle_s=0.2)
HASH = InfoHash("ab" * 20)


def settings(host: str) -> dict[str, object]:
    """A session that stays on loopback and is found by nobody."""
    return SILENT | {
        "listen_interfaces": f"{host}:0",
        "allow_multiple_connections_per_ip": True,
        "handshake_client_version": "smartnode/7 (d4c/1)",
        "peer_fingerprint": "-SN0001-abcdefghijkl",
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification,
    }


def partial_seed(folder: Path, pieces: list[int]) -> tuple[lt.session, InfoHash]:
    """A real session that holds exactly *pieces* of a torrent of 24 pieces."""
    payload = b"".join(bytes([n]) * PIECE for n in range(COUNT))
    (folder / "file.bin").write_bytes(payload)
    torrent = lt.create_torrent(lt.list_files(str(folder / "file.bin"), flags=0), PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(folder))
    params = lt.load_torrent_buffer(lt.bencode(torrent.generate()))
    params.save_path = str(folder)
    params.flags = params.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    params.have_pieces = [n in pieces for n in range(COUNT)]
    params.piece_priorities = [4 if n in pieces else 0 for n in range(COUNT)]
    session = lt.session(settings("127.0.8.1"))
    session.add_torrent(params)
    return session, InfoHash(str(params.info_hashes.v1))


async def listening(session: lt.session) -> Address:
    """Wait until the session listens and its torrent serves."""
    async with asyncio.timeout(20):
        while session.listen_port() == 0 or not all(h.status().is_finished for h in session.get_torrents()):
            await asyncio.to_thread(session.wait_for_alert, 100)
            session.pop_alerts()
    return Address(host="127.0.8.1", port=session.listen_port())


async def test_a_partial_seed_tells_exactly_its_pieces(tmp_path: Path) -> None:
    """A default upload-only peer shows its bitfield, its id and its client to a probe that claims nothing."""
    session, info_hash = partial_seed(tmp_path, [0, 3, 5, 23])
    seen = await probe(await listening(session), info_hash, num_pieces=COUNT, manners=QUICK)
    assert seen.pieces == Bitfield.from_indices([0, 3, 5, 23], COUNT)
    assert seen.peer_id == b"-SN0001-abcdefghijkl"
    assert seen.client == "smartnode/7 (d4c/1)"
    assert seen.upload_only


async def test_a_torrent_that_the_peer_does_not_have_is_an_error(tmp_path: Path) -> None:
    """A peer that closes the connection teaches nothing."""
    session, _ = partial_seed(tmp_path, [0])
    with pytest.raises(SwarmError):
        await probe(await listening(session), HASH, num_pieces=COUNT, manners=QUICK)


def says(*frames: bytes, info_hash: str = HASH) -> Talk:
    """Answer the handshake, send *frames*, then stay silent until the other side leaves."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(68)
        writer.write(wire.PROTOCOL + bytes(8) + bytes.fromhex(info_hash) + b"-XX0001-abcdefghijkl")
        for frame in frames:
            writer.write(len(frame).to_bytes(4, "big") + frame)
        await reader.read()

    return talk


async def ask(talk: Talk, manners: Manners = QUICK) -> Sighting:
    """Probe a peer that behaves as *talk* says."""
    async with peer(talk) as address:
        return await probe(address, HASH, num_pieces=12, manners=manners)


async def test_lazy_bitfields_are_completed_by_have() -> None:
    """Pieces announced right after the bitfield count."""
    seen = await ask(says(b"\x05\x80\x00", b"\x04" + (7).to_bytes(4, "big"), b"", b"\x01"))
    assert seen.pieces.indices() == [0, 7]
    assert seen.client is None


@pytest.mark.parametrize(
    "frames",
    [
        [b"\x05\xff\xff"],  # spare bits
        [b"\x05\xff"],  # too short
        [b"\x0e", b"\x04" + (12).to_bytes(4, "big")],  # a piece beyond the end
        [b"\x05" + bytes(200_000)],  # a frame over the limit
        [b"\x0e", b"\x0e"],  # all of it, twice
        [b"\x0e", *[b"\x15" + bytes(60_000)] * 20],  # frames without end
    ],
)
async def test_liars_are_not_evidence(frames: list[bytes]) -> None:
    """A peer that contradicts the protocol teaches nothing."""
    with pytest.raises(SwarmError):
        await ask(says(*frames))


async def test_an_answer_for_another_torrent_is_refused() -> None:
    """The info-hash in the answer is checked."""
    with pytest.raises(SwarmError, match="another torrent"):
        await ask(says(b"\x0e", info_hash="cd" * 20))


async def test_a_silent_peer_costs_its_deadline_only() -> None:
    """A peer that accepts and says nothing ends in a SwarmError."""
    with pytest.raises(SwarmError, match="in time"):
        await ask(says(), Manners(client="x", deadline_s=0.3, settle_s=0.1))


async def test_a_closed_port_is_an_error() -> None:
    """Nobody there is not the same as nobody has it."""
    async with peer(says()) as address:
        pass
    with pytest.raises(SwarmError, match="cannot be reached"):
        await probe(address, HASH, num_pieces=12, manners=QUICK)


def extension(kind: int, said: object) -> bytes:
    """An extended message without its length."""
    return bytes([wire.EXTENDED, kind]) + bencode.encode(said)


HELLO = extension(0, {b"m": {b"ut_pex": 3}, b"v": b"x/1"})
ADDED = bytes((192, 0, 2, 1)) + (7001).to_bytes(2, "big")


def speaks(*frames: bytes) -> Talk:
    """Like says, by a peer that knows extensions."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(68)
        writer.write(wire.handshake(bytes.fromhex(HASH), b"-XX0001-abcdefghijkl"))
        for frame in frames:
            writer.write(len(frame).to_bytes(4, "big") + frame)
        await reader.read()

    return talk


async def hear(talk: Talk, *, pex: bool = True, manners: Manners = QUICK) -> Sighting:
    """Probe a peer and want to hear of others."""
    async with peer(talk) as address:
        return await probe(address, HASH, num_pieces=12, manners=manners, pex=pex)


async def test_whom_a_peer_names_is_heard_before_and_after_its_pieces() -> None:
    """The first PEX message counts wherever it comes."""
    added = extension(1, {b"added": ADDED})
    named = (Address(host="192.0.2.1", port=7001),)
    assert (await hear(speaks(HELLO, added, b"\x0e"))).named == named
    assert (await hear(speaks(HELLO, b"\x0e", added))).named == named


async def test_who_does_not_want_pex_hears_none() -> None:
    """What comes unasked is dropped (BEP 27)."""
    talk = speaks(HELLO, b"\x0e", extension(1, {b"added": ADDED}))
    assert (await hear(talk, pex=False)).named == ()


async def test_a_peer_that_names_nobody_is_still_seen() -> None:
    """Waiting for PEX in vain, until the deadline if need be, loses nothing of what was said."""
    short = Manners(client="x", local_host="127.0.9.1", deadline_s=1.0, settle_s=0.1, pex_s=30)
    seen = await hear(speaks(HELLO, b"\x0e"), manners=short)
    assert seen.pieces == Bitfield.full(12)
    assert seen.named == ()


async def test_a_peer_that_does_not_speak_pex_is_not_waited_for() -> None:
    """Its settling time is all it gets: the deadline would come long before."""
    patient = Manners(client="x", local_host="127.0.9.1", deadline_s=100, settle_s=0.1, pex_s=90)
    for hello in (extension(0, {b"v": b"x/1"}), extension(0, {b"m": {b"ut_pex": 0}})):
        assert (await hear(speaks(hello, b"\x0e"), manners=patient)).pieces == Bitfield.full(12)


@pytest.mark.parametrize("said", [{b"added": b"12345"}, {b"added": 5}, [1], b"x"])
async def test_broken_hearsay_makes_a_liar(said: object) -> None:
    """A peer that leaves the protocol is not evidence of anything."""
    with pytest.raises(SwarmError):
        await hear(speaks(HELLO, extension(1, said), b"\x0e"))
