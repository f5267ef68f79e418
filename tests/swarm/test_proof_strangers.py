"""Proofs against peers that lie, stall or babble: none is proved, and only a contradiction makes a liar."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield, PieceRange
from smartnode.domain.proof import Block, Challenge, Outcome, Verdict
from smartnode.swarm import wire
from smartnode.swarm.manners import Gate
from smartnode.swarm.proof import Patience, proofs_gate, prove
from tests.strangers import (
    ALL,
    CHOKE,
    INTERESTED,
    REQUEST,
    UNCHOKE,
    Serve,
    Stranger,
    Talk,
    framed,
    hello,
    numbers,
    peer,
    piece,
    reject,
)
from tests.swarm.proving import ASKER, CLIENT, COUNT, HASH, HOLDER, WHOLE, answer, challenge, eyes

PATIENT = Patience(unchoke_s=20.0, serve_s=20.0)
SHORT = Patience(unchoke_s=0.3, serve_s=0.3)


def honest(block: Block) -> list[bytes]:
    """What a holder answers."""
    return [piece(block, answer(block))]


def stranger(serve: Serve = honest, **more: Any) -> Stranger:
    """A peer of our network that claims everything and answers by *serve*."""
    return Stranger(**({"serve": serve, "peer_id": HOLDER, "client": CLIENT} | more))


async def ask(talk: Talk, asked: Challenge | None = None, *, patience: Patience = PATIENT, **more: float) -> Outcome:
    """One proof of the peer that behaves as *talk* says; it may take a minute at the very most."""
    async with peer(talk) as address, asyncio.timeout(60):
        return await prove(address, asked or challenge(), asker=eyes(**more), gate=proofs_gate(), patience=patience)


async def test_each_block_is_asked_once_under_a_fresh_name() -> None:
    """Three requests and no more, each of its own block; two proofs come under two ids, neither of them ours."""
    one = stranger()
    first, second = challenge(), challenge()
    for asked in (first, second):
        assert (await ask(one.talk, asked)).verdict is Verdict.PROVED
    assert one.asked == [q.block for q in (*first.questions, *second.questions)]
    assert len({*one.met, bytes(ASKER), HOLDER}) == 4
    assert one.heard == [wire.EXTENDED, wire.HAVE_NONE, INTERESTED, *[REQUEST] * 3] * 2


async def test_a_full_bitfield_that_serves_nothing_proves_nothing() -> None:
    """Silence after unchoking may be a slow line: unknown, never proved, never a liar."""
    outcome = await ask(stranger(serve=lambda _: []).talk, patience=Patience(unchoke_s=20.0, serve_s=0.3))
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer did not serve three blocks within 0.3 s")


async def test_two_blocks_of_three_prove_nothing() -> None:
    """A proof is whole or none."""
    asked = challenge()
    last = asked.questions[-1].block
    one = stranger(serve=lambda block: [] if block == last else honest(block))
    outcome = await ask(one.talk, asked, patience=Patience(unchoke_s=20.0, serve_s=0.3))
    assert outcome.verdict is Verdict.UNKNOWN


async def test_who_claims_unchokes_and_refuses_is_a_liar() -> None:
    """The same peer says in one conversation that it has the piece, that it serves, and that it does not."""
    outcome = await ask(stranger(serve=lambda block: [reject(block)]).talk)
    assert outcome.verdict is Verdict.LIAR
    assert "refuses" in outcome.reason


@pytest.mark.parametrize("wrong", [0, 1, 2])
async def test_one_wrong_byte_makes_a_liar(wrong: int) -> None:
    """Whichever block it is in, and though the others are right."""
    asked = challenge()
    bad = asked.questions[wrong].block

    def serve(block: Block) -> list[bytes]:
        right = answer(block)
        return [piece(block, right[:-1] + bytes([right[-1] ^ 1]) if block == bad else right)]

    outcome = await ask(stranger(serve=serve).talk, asked)
    assert outcome == Outcome(verdict=Verdict.LIAR, reason=f"it sent other bytes than ours for {bad}")


async def test_a_choke_voids_what_was_asked() -> None:
    """Libtorrent chokes and then rejects when its slots rotate: busy, and no liar."""
    outcome = await ask(stranger(serve=lambda block: [CHOKE, reject(block)]).talk)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer choked us again before it served")


async def test_a_word_taken_back_is_no_lie() -> None:
    """Who says lt_donthave before it refuses is absent (BEP 54)."""
    gone = stranger(serve=lambda block: [b"\x14\x02" + numbers(block)[:4], reject(block)])
    outcome = await ask(gone.talk)
    assert outcome == Outcome(verdict=Verdict.ABSENT, reason=f"it does not hold 1 of the segment's {len(WHOLE)} pieces")


async def test_a_piece_lost_while_we_waited_is_not_asked() -> None:
    """Who took its word back before it unchoked us is absent, and is asked for nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(68)
        writer.write(wire.handshake(bytes.fromhex(HASH), HOLDER) + framed(hello(CLIENT), ALL))
        await reader.readuntil(wire.INTERESTED)
        writer.write(framed(b"\x14\x02" + (5).to_bytes(4, "big"), UNCHOKE))
        assert await reader.read() == b""

    outcome = await ask(talk)
    assert outcome.verdict is Verdict.ABSENT


@pytest.mark.parametrize("instead", ["reject", "wrong", "recorded", "silent"])
async def test_recorded_blocks_do_not_answer_the_next_proof(instead: str) -> None:
    """Who kept what was asked once and nothing else fails at the next random blocks, whatever it does about them."""
    recorded = {q.block: q.answer for q in challenge(dice=random.Random(1)).questions}
    asked = challenge(dice=random.Random(2))
    assert not recorded.keys() & {q.block for q in asked.questions}
    some_block, some = next(iter(recorded.items()))
    answers: dict[str, Serve] = {
        "reject": lambda block: [reject(block)],
        "wrong": lambda block: [piece(block, random.Random(3).randbytes(block.length))],
        "recorded": lambda _: [piece(some_block, some)],
        "silent": lambda _: [],
    }

    def serve(block: Block) -> Iterable[bytes]:
        return [piece(block, recorded[block])] if block in recorded else answers[instead](block)

    first = await ask(stranger(serve=serve).talk, challenge(dice=random.Random(1)))
    assert first.verdict is Verdict.PROVED
    second = await ask(stranger(serve=serve).talk, asked, patience=Patience(unchoke_s=20.0, serve_s=0.3))
    expected = Verdict.LIAR if instead in ("reject", "wrong") else Verdict.UNKNOWN
    assert second.verdict is expected


async def test_another_peer_is_asked_for_nothing() -> None:
    """The id in the handshake is the holder's own, all 20 bytes, or the conversation ends there."""
    one = stranger(peer_id=HOLDER[:-1] + b"x")
    outcome = await ask(one.talk)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="another peer answers there")
    assert one.heard == []


@pytest.mark.parametrize("client", ["smartnode/7 (other/1)", "smartnode/7 (d4c/2)", "Transmission 3.00", ""])
async def test_only_smartnodes_of_our_network_prove(client: str) -> None:
    """Another network, another protocol version and foreign clients obey another guard, or none."""
    one = stranger(client=client)
    outcome = await ask(one.talk)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer there is not a smartnode of this network")
    assert INTERESTED not in one.heard


async def test_who_knows_no_extensions_is_no_smartnode() -> None:
    """It cannot say that it is one, and is not waited for."""
    talk = speaks(wire.PROTOCOL + bytes(8) + bytes.fromhex(HASH) + HOLDER + framed(ALL), ends=False)
    outcome = await ask(talk, deadline_s=50.0)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer there is not a smartnode of this network")


async def test_a_partial_holder_is_asked_for_nothing() -> None:
    """Its own bitfield is enough."""
    one = stranger(opening=(b"\x05" + Bitfield.from_indices(range(20), COUNT).bits,))
    outcome = await ask(one.talk, challenge(PieceRange(first=16, last=23)))
    assert outcome == Outcome(verdict=Verdict.ABSENT, reason="it does not hold 4 of the segment's 8 pieces")
    assert INTERESTED not in one.heard


async def test_a_lazy_bitfield_is_completed_by_have() -> None:
    """What is announced right after the bitfield counts."""
    opening = (b"\x05" + Bitfield.from_indices(range(23), COUNT).bits, b"\x04" + (23).to_bytes(4, "big"))
    assert (await ask(stranger(opening=opening).talk)).verdict is Verdict.PROVED


async def test_who_chokes_for_ever_is_unknown() -> None:
    """The wait ends."""
    outcome = await ask(stranger(unchokes=b"").talk, patience=SHORT)
    assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer did not unchoke us within 0.3 s")


FORGED = Block(piece=1, begin=0, length=16)


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        ((b"\x05\xff",), "not of a torrent"),
        ((ALL, b"\x04" + (COUNT).to_bytes(4, "big")), "speaks of piece"),
        ((ALL, ALL), "said twice"),
        ((b"\x05" + bytes(200_000),), "a frame of 200001 bytes"),
        ((b"\x07" + bytes(60_000),), "nobody may ask for"),
        ((b"\x10" + bytes(3),), "nobody may ask for"),
        ((piece(FORGED, b"x" * 16), ALL), "nobody asked"),
        ((reject(FORGED), ALL), "nobody asked"),
        ((b"\x14\x00" + b"junk", ALL), "extended handshake"),
        ((*[b"\x15" + bytes(60_000)] * 20,), "without end"),
        ((), "did not say in time"),
    ],
)
async def test_babble_is_unknown(opening: tuple[bytes, ...], reason: str) -> None:
    """Frames that contradict the protocol, too long or without end: nothing is learned, nothing escapes."""
    outcome = await ask(stranger(opening=opening, unchokes=b"").talk, patience=SHORT, deadline_s=1.0)
    assert outcome.verdict is Verdict.UNKNOWN
    assert reason in outcome.reason


@pytest.mark.parametrize("begin", [0, 1 << 14])
@pytest.mark.parametrize("cut", [0, 1])
async def test_a_block_that_was_not_asked_is_no_answer(begin: int, cut: int) -> None:
    """Only the very block counts: neither a shorter one nor, whatever its bytes, one at another place."""

    def serve(block: Block) -> list[bytes]:
        elsewhere = Block(piece=block.piece, begin=block.begin ^ begin, length=block.length)
        return [piece(elsewhere, answer(block)[cut:])] if begin or cut else honest(block)

    asked = challenge(PieceRange(first=0, last=0), dice=random.Random(1))
    only = replace(asked, questions=asked.questions[:1])
    outcome = await ask(stranger(serve=serve).talk, only)
    if begin or cut:
        assert outcome == Outcome(verdict=Verdict.UNKNOWN, reason="the peer answers what nobody asked")
    else:
        assert outcome == Outcome(verdict=Verdict.PROVED, reason="it served 1 of 1 blocks as we have them")


def speaks(raw: bytes, *, ends: bool) -> Talk:
    """Send *raw* in place of a handshake, and leave at once or wait for the other side to."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if not ends:
            await reader.read()

    return talk


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(68), bytes(200)])
@pytest.mark.parametrize("ends", [True, False])
async def test_other_protocols_are_unknown(raw: bytes, ends: bool) -> None:  # noqa: FBT001 -- a pytest parameter
    """A web server, a silent port, zeros: no answer is a lie."""
    outcome = await ask(speaks(raw, ends=ends), patience=SHORT, deadline_s=0.5)
    assert outcome.verdict is Verdict.UNKNOWN


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12))
def test_no_frames_prove_and_none_escape(frames: list[bytes]) -> None:
    """Whatever frames a holder opens with, the outcome is a value, and without our blocks it is no proof."""
    talk = speaks(wire.handshake(bytes.fromhex(HASH), HOLDER) + framed(hello(CLIENT), *frames), ends=True)
    outcome = asyncio.run(ask(talk, patience=SHORT, deadline_s=2.0))
    assert outcome.verdict in (Verdict.UNKNOWN, Verdict.ABSENT)


async def test_closed_addresses_are_never_dialled() -> None:
    """Private addresses stay closed unless allowed, and this node is no proof of itself."""
    one = stranger()
    async with peer(one.talk) as address:
        shut = await prove(address, challenge(), asker=eyes(allow_private=False), gate=proofs_gate())
        own = await prove(address, challenge(holder=ASKER), asker=eyes(), gate=proofs_gate())
    assert shut == Outcome(verdict=Verdict.UNKNOWN, reason="the address is not one that may be asked")
    assert own == Outcome(verdict=Verdict.UNKNOWN, reason="this node is no proof of itself")
    assert one.met == []


async def test_proofs_of_one_network_wait_for_their_turn() -> None:
    """Nobody is dialled beyond the budget of its network."""
    one = stranger()
    gate = Gate(at_once=8, per_network=1)
    async with peer(one.talk) as address, asyncio.timeout(60):
        async with gate.open_for(address):
            waiting = asyncio.create_task(prove(address, challenge(), asker=eyes(), gate=gate, patience=PATIENT))
            await asyncio.wait([waiting], timeout=0.2)
            assert one.met == []
        assert (await waiting).verdict is Verdict.PROVED
