"""The wire protocol: what strangers send becomes frames or a SwarmError, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield
from smartnode.domain.proof import Block
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm import wire

HASH = bytes(range(20))
PEER = b"-XX0001-abcdefghijkl"


def test_our_handshake_is_read_back() -> None:
    """A handshake is 68 bytes and says info-hash, peer id and that extensions are spoken."""
    raw = wire.handshake(HASH, PEER)
    assert len(raw) == 68
    assert wire.parse_handshake(raw) == wire.Handshake(info_hash=HASH, peer_id=PEER, extended=True)


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 400 Bad Request\r\n" + bytes(42), bytes(68), b"\x13BitTorrent protocol"]
)
def test_other_protocols_are_refused(raw: bytes) -> None:
    """Whatever is not BitTorrent ends the conversation with a SwarmError."""
    with pytest.raises(SwarmError, match="does not speak BitTorrent"):
        wire.parse_handshake(raw)


@given(st.sets(st.integers(0, 99)))
def test_a_bitfield_is_the_set_that_was_sent(pieces: set[int]) -> None:
    """The set of pieces survives the wire."""
    sent = Bitfield.from_indices(pieces, 100)
    assert wire.parse_frame(bytes([wire.BITFIELD]) + sent.bits, 100) == wire.Pieces(pieces=sent)


def test_spare_bits_and_wrong_lengths_are_refused() -> None:
    """A bitfield that does not fit the torrent is not evidence of anything."""
    for body in (b"\xff\xff", b"\xff", b"", b"\xff\xf0\x00"):
        with pytest.raises(SwarmError):
            wire.parse_frame(bytes([wire.BITFIELD]) + body, 12)


def test_have_all_have_none_and_have() -> None:
    """The fast extension's short forms mean what BEP 6 says; a piece beyond the torrent is refused."""
    assert wire.parse_frame(bytes([wire.HAVE_ALL]), 9) == wire.Pieces(pieces=Bitfield.full(9))
    assert wire.parse_frame(bytes([wire.HAVE_NONE]), 9) == wire.Pieces(pieces=Bitfield.empty(9))
    assert wire.parse_frame(bytes([wire.HAVE]) + (8).to_bytes(4, "big"), 9) == wire.Have(index=8)
    for body in ((9).to_bytes(4, "big"), b"\x00", b""):
        with pytest.raises(SwarmError):
            wire.parse_frame(bytes([wire.HAVE]) + body, 9)


def test_the_extended_handshake_names_the_client_without_control_characters() -> None:
    """Client text is untrusted: printable characters only, at most 128 of them."""
    said = bencode.encode({b"v": b"evil\x1b[2Jclient" + b"x" * 500, b"upload_only": 1})
    frame = wire.parse_frame(bytes([wire.EXTENDED, 0]) + said, 9)
    assert isinstance(frame, wire.Extended)
    assert frame.upload_only
    assert frame.client is not None
    assert frame.client.startswith("evil[2Jclient")
    assert len(frame.client) == wire.CLIENT_MAX_CHARACTERS


def test_our_extended_handshake_never_claims_upload_only() -> None:
    """Two upload-only peers would disconnect before the bitfield is exchanged."""
    frame = wire.parse_frame(wire.extended_handshake("me/1", pex=False)[4:], 9)
    assert frame == wire.Extended(client="me/1", upload_only=False, pex=False)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 200))
def test_any_frame_becomes_a_frame_or_a_swarm_error(payload: bytes, num_pieces: int) -> None:
    """No bytes of a stranger raise anything but SwarmError."""
    try:
        frame = wire.parse_frame(payload, num_pieces)
    except SwarmError:
        return
    assert isinstance(frame, wire.Frame)
    if isinstance(frame, wire.Pieces):
        assert frame.pieces.length == num_pieces


def test_our_extended_handshake_says_whether_we_listen_to_pex() -> None:
    """Only who wants to hear of others names ut_pex; an id of 0 takes the word back."""
    frame = wire.parse_frame(wire.extended_handshake("me/1", pex=True)[4:], 9)
    assert frame == wire.Extended(client="me/1", upload_only=False, pex=True)
    off = bencode.encode({b"m": {b"ut_pex": 0}})
    assert wire.parse_frame(bytes([wire.EXTENDED, 0]) + off, 9) == wire.Extended(
        client=None, upload_only=False, pex=False
    )


def test_a_pex_message_names_at_most_fifty_of_each_family() -> None:
    """BEP 11: added and added6, nothing of dropped or of flags; a cut list is a SwarmError."""
    four = bytes((192, 0, 2, 1)) + (7).to_bytes(2, "big")
    six = bytes.fromhex("20010db8000000000000000000000001") + (8).to_bytes(2, "big")
    said = {b"added": four * 60, b"added6": six * 60, b"dropped": four, b"added.f": b"x"}
    frame = wire.parse_frame(bytes([wire.EXTENDED, wire.OUR_PEX]) + bencode.encode(said), 9)
    assert frame == wire.Pex(
        added=(Address(host="192.0.2.1", port=7),) * 50 + (Address(host="2001:db8::1", port=8),) * 50
    )
    for bad in ({b"added": four[:5]}, {b"added": 5}, [four]):
        with pytest.raises(SwarmError):
            wire.parse_frame(bytes([wire.EXTENDED, wire.OUR_PEX]) + bencode.encode(bad), 9)
    assert wire.parse_frame(bytes([wire.EXTENDED, 9]) + b"anything", 9) == wire.Other(kind=wire.EXTENDED)


blocks = st.builds(
    Block, piece=st.integers(0, 199), begin=st.integers(0, (1 << 32) - 1), length=st.integers(1, 1 << 14)
)


@given(blocks, st.integers(1, 200))
def test_a_block_is_read_as_it_was_named(block: Block, num_pieces: int) -> None:
    """Requests, pieces and refusals name a block alike (BEP 3, 6); one beyond the torrent is refused."""
    raw = wire.request(block)
    assert (raw[:4], raw[4]) == ((13).to_bytes(4, "big"), wire.REQUEST)
    data = bytes(block.length)
    frames = {bytes([wire.PIECE]) + raw[5:13] + data: wire.Piece(block=block, data=data)}
    frames |= {bytes([wire.REJECT]) + raw[5:]: wire.Reject(block=block)}
    for payload, frame in frames.items():
        if block.piece < num_pieces:
            assert wire.parse_frame(payload, num_pieces) == frame
        else:
            with pytest.raises(SwarmError, match="speaks of piece"):
                wire.parse_frame(payload, num_pieces)


@pytest.mark.parametrize("kind", [wire.PIECE, wire.REJECT])
def test_blocks_that_nobody_may_ask_for_are_refused(kind: int) -> None:
    """An empty block, one above 16 KiB, and a name cut short."""
    lengths = (0, (1 << 14) + 1)
    for length in lengths:
        tail = bytes(length) if kind == wire.PIECE else length.to_bytes(4, "big")
        with pytest.raises(SwarmError, match="nobody may ask for"):
            wire.parse_frame(bytes([kind]) + bytes(8) + tail, 9)
    for cut in range(8):
        with pytest.raises(SwarmError, match="nobody may ask for"):
            wire.parse_frame(bytes([kind]) + bytes(cut), 9)


def test_choking_and_taking_back() -> None:
    """Choke, unchoke and lt_donthave (BEP 54) mean what they say; with a body, a choke is something else."""
    assert wire.parse_frame(bytes([wire.CHOKE]), 9) == wire.Choke()
    assert wire.parse_frame(bytes([wire.UNCHOKE]), 9) == wire.Unchoke()
    assert wire.parse_frame(bytes([wire.UNCHOKE, 1]), 9) == wire.Other(kind=wire.UNCHOKE)
    lost = bytes([wire.EXTENDED, wire.OUR_DONT_HAVE])
    assert wire.parse_frame(lost + (8).to_bytes(4, "big"), 9) == wire.DontHave(index=8)
    with pytest.raises(SwarmError):
        wire.parse_frame(lost + (9).to_bytes(4, "big"), 9)
    said = bencode.decode(wire.extended_handshake("me/1", pex=False, dont_have=True)[6:])
    assert said == {b"m": {b"lt_donthave": wire.OUR_DONT_HAVE}, b"v": b"me/1"}
