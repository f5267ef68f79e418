"""Proofs against real libtorrent sessions: who holds is proved, who does not is not, nobody busy is called a liar."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import libtorrent as lt

from smartnode.domain.pieces import PieceRange
from smartnode.domain.proof import Outcome, Verdict
from smartnode.domain.swarm import Address
from smartnode.engine.settings import one_peer_class
from smartnode.swarm.proof import Patience, proofs_gate, prove
from tests.plain import plain_session
from tests.swarm.proving import ASKER, CLIENT, COUNT, HOLDER, PAYLOAD, PROVER_HOST, WHOLE, Seeded, challenge, eyes, seed

HOLDER_HOST = "127.0.8.2"
QUICK = Patience(unchoke_s=10.0, serve_s=10.0)
NOT_LONG = Patience(unchoke_s=0.5, serve_s=10.0)
STATUS = lt.alert.category_t.status_notification | lt.alert.category_t.connect_notification


def node(host: str, node_id: bytes, **more: object) -> lt.session:
    """A session with the settings of a smartnode that concern others, whose slots bind neighbours too."""
    settings: dict[str, object] = {
        "peer_fingerprint": node_id,
        "handshake_client_version": CLIENT,
        "allow_multiple_connections_per_ip": True,
        "close_redundant_connections": False,
        "alert_mask": int(STATUS),
    }
    session = plain_session(host, **(settings | more))
    session.set_peer_class_filter(one_peer_class())
    return session


async def until(seeded: Seeded, holds: Callable[[], bool]) -> None:
    """Wait for what the session does by itself."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.to_thread(seeded.session.wait_for_alert, 100)
            seeded.session.pop_alerts()


async def listening(seeded: Seeded) -> Address:
    """Wait until the session listens and its torrent serves."""
    await until(seeded, lambda: seeded.session.listen_port() != 0 and seeded.handle.status().is_finished)
    return Address(host=HOLDER_HOST, port=seeded.session.listen_port())


async def ask(
    address: Address, pieces: PieceRange = WHOLE, patience: Patience = QUICK, holder: bytes = HOLDER
) -> Outcome:
    """One proof about *pieces*."""
    return await prove(address, challenge(pieces, holder=holder), asker=eyes(), gate=proofs_gate(), patience=patience)


async def connected(ours: Seeded, held: Seeded) -> Callable[[], list[tuple[bytes, str, int]]]:
    """Connect two seeds; what tells whom *ours* is connected to, and from where."""
    address = await listening(held)
    await until(ours, lambda: ours.session.listen_port() != 0 and ours.handle.status().is_finished)
    ours.handle.connect_peer((address.host, address.port))

    def standing() -> list[tuple[bytes, str, int]]:
        peers = ours.handle.get_peer_info()
        return [(p.pid.to_bytes(), *p.local_endpoint()) for p in peers if p.num_pieces == COUNT]

    await until(ours, lambda: [pid for pid, *_ in standing()] == [HOLDER])
    return standing


async def test_an_honest_holder_proves_itself_beside_a_standing_connection(tmp_path: Path) -> None:
    """The session's connection from the same address neither keeps the proof out nor ends by it."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path / "a")
    standing = await connected(seed(node(PROVER_HOST, ASKER), tmp_path / "b"), held)
    before = standing()
    assert before[0][1] == PROVER_HOST
    for _ in range(5):
        outcome = await ask(await listening(held))
        assert outcome == Outcome(verdict=Verdict.PROVED, reason="it served 3 of 3 blocks as we have them")
    assert standing() == before


async def test_a_holder_that_takes_one_connection_per_address_is_unknown(tmp_path: Path) -> None:
    """Beside a standing connection it hangs up on the proof: no answer, and no lie."""
    held = seed(node(HOLDER_HOST, HOLDER, allow_multiple_connections_per_ip=False), tmp_path / "a")
    standing = await connected(seed(node(PROVER_HOST, ASKER), tmp_path / "b"), held)
    outcome = await ask(await listening(held))
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer hung up")
    assert len(standing()) == 1


async def test_a_partial_holder_proves_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    """A whole segment that it has is proved, the short last piece included; one piece less is its own word against."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path, pieces={*range(4, 12), 22, 23})
    address = await listening(held)
    assert (await ask(address, PieceRange(first=4, last=11))).verdict is Verdict.PROVED
    assert (await ask(address, PieceRange(first=22, last=23))).verdict is Verdict.PROVED
    assert (await ask(address, PieceRange(first=23, last=23))).verdict is Verdict.PROVED
    outcome = await ask(address, PieceRange(first=4, last=12))
    assert outcome == Outcome(verdict=Verdict.ABSENT, reason="it does not hold 1 of the segment's 9 pieces")


async def test_rotten_bytes_are_no_copy(tmp_path: Path) -> None:
    """A session that serves what its disk made of the data is not proved, whatever it believes."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path, payload=bytes(len(PAYLOAD)))
    outcome = await ask(await listening(held))
    assert outcome.verdict is Verdict.LIAR
    assert "other bytes than ours" in outcome.reason


async def test_a_holder_whose_disk_fails_takes_its_word_back(tmp_path: Path) -> None:
    """Libtorrent says lt_donthave before it rejects what it cannot read: absent, and no lie."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path)
    address = await listening(held)
    (tmp_path / "file.bin").write_bytes(b"")
    outcome = await ask(address)
    assert outcome.verdict is Verdict.ABSENT


async def test_a_holder_without_a_free_slot_is_unknown(tmp_path: Path) -> None:
    """Who unchokes nobody is busy as far as we can tell."""
    held = seed(node(HOLDER_HOST, HOLDER, unchoke_slots_limit=0), tmp_path)
    outcome = await ask(await listening(held), patience=NOT_LONG)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer did not unchoke us within 0.5 s")


async def test_another_node_at_the_address_proves_nothing(tmp_path: Path) -> None:
    """The blocks of another are no proof of the holder that was meant."""
    held = seed(node(HOLDER_HOST, b"-SN0001-othersothers"), tmp_path)
    outcome = await ask(await listening(held))
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="another peer answers there")


async def test_a_foreign_client_proves_nothing(tmp_path: Path) -> None:
    """Who obeys no guard does not count in it, though it serves every block."""
    session = plain_session(
        HOLDER_HOST, peer_fingerprint=HOLDER, allow_multiple_connections_per_ip=True, alert_mask=int(STATUS)
    )
    outcome = await ask(await listening(seed(session, tmp_path)))
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer there is not a smartnode of this network")


async def test_a_torrent_that_left_is_unknown(tmp_path: Path) -> None:
    """A node that just lets go of a torrent hangs up: no answer, and no lie."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path)
    address = await listening(held)
    held.session.remove_torrent(held.handle)
    await until(held, lambda: not held.session.get_torrents())
    outcome = await ask(address)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer hung up")


async def test_a_closed_port_is_unknown(tmp_path: Path) -> None:
    """Nobody there is no evidence of anything."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path)
    address = await listening(held)
    nobody = Address(host="127.0.8.77", port=address.port)
    outcome = await ask(nobody)
    assert outcome.verdict is Verdict.UNKNOWN
    assert "cannot be reached" in outcome.reason


async def test_many_proofs_at_once_are_all_answered(tmp_path: Path) -> None:
    """A batch about one holder waits for its turns and ends."""
    held = seed(node(HOLDER_HOST, HOLDER), tmp_path)
    address = await listening(held)
    gate = proofs_gate()
    dice = random.Random(3)
    asked = [
        prove(address, challenge(PieceRange(first=n, last=n + 3), dice=dice), asker=eyes(), gate=gate, patience=QUICK)
        for n in range(12)
    ]
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*asked)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.PROVED}
