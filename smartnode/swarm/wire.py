"""The BitTorrent wire protocol, as far as looking and proving need it: bytes in, frames out, nothing trusted (BEP 3, 6,
10, 11, 54).

Laws: a frame longer than what its kind may have ends the conversation; spare bits are refused, never believed; our own
handshake never claims upload_only (two upload-only peers disconnect before bitfields are exchanged).
"""

from dataclasses import dataclass
from typing import Any

from smartnode.domain.pieces import Bitfield
from smartnode.domain.proof import BLOCK_MAX_BYTES, Block
from smartnode.domain.swarm import Address
from smartnode.errors import MetainfoError, SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm.compact import compact4, compact6

PROTOCOL = b"\x13BitTorrent protocol"
RESERVED = b"\x00\x00\x00\x00\x00\x10\x00\x05"  # BEP 10 extension protocol, BEP 6 fast extension, BEP 5 DHT
HANDSHAKE_LENGTH = 68
EXTENDED_MAX_BYTES = 64 << 10
CLIENT_MAX_CHARACTERS = 128
OUR_PEX = 1
"""The id under which peers send us their PEX messages."""
OUR_DONT_HAVE = 2
"""The id under which peers take back their word about a piece (BEP 54)."""
PEX_MAX = 50
"""Addresses of each family that one PEX message may add (BEP 11)."""

CHOKE, UNCHOKE, HAVE, BITFIELD, REQUEST, PIECE = 0, 1, 4, 5, 6, 7
HAVE_ALL, HAVE_NONE, REJECT, EXTENDED = 14, 15, 16, 20
SAYS_PIECES = frozenset({BITFIELD, HAVE_ALL, HAVE_NONE})
INDEX_BYTES = 4
INTERESTED = b"\x00\x00\x00\x01\x02"
NOTHING = b"\x00\x00\x00\x01\x0f"
"""We have no piece, as a whole frame: who speaks BEP 6 says what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The 68 bytes that open every conversation; *peer_id* and *info_hash* are 20 raw bytes each."""

    info_hash: bytes
    peer_id: bytes
    extended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The peer said which pieces it has (bitfield, have all, have none)."""

    pieces: Bitfield


@dataclass(frozen=True, slots=True, kw_only=True)
class Have:
    """The peer has one more piece."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DontHave:
    """The peer has lost a piece (BEP 54)."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choke:
    """The peer serves us no more; what was asked and not served is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchoke:
    """The peer serves what we ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The peer sent a block; *data* is 1 to 16,384 bytes, as many as *block* says."""

    block: Block
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """The peer will not send a block that we asked for (BEP 6)."""

    block: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """The BEP 10 handshake: ``v`` cut to 128 printable characters, None when the peer does not say."""

    client: str | None
    upload_only: bool
    pex: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pex:
    """The peer named others (BEP 11): hearsay, at most 50 of each family."""

    added: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Any other message; neither looking nor proving needs it."""

    kind: int


Frame = Pieces | Have | DontHave | Choke | Unchoke | Piece | Reject | Extended | Pex | Other


def handshake(info_hash: bytes, peer_id: bytes) -> bytes:
    """Return our handshake, 68 bytes."""
    return PROTOCOL + RESERVED + info_hash + peer_id


def request(block: Block) -> bytes:
    """Return the question for one block as a whole frame."""
    numbers = (block.piece, block.begin, block.length)
    return b"".join((b"\x00\x00\x00\x0d", bytes([REQUEST]), *(n.to_bytes(INDEX_BYTES, "big") for n in numbers)))


def extended_handshake(client: str, *, pex: bool, dont_have: bool = False) -> bytes:
    """Return our BEP 10 handshake as a whole frame; it says who we are and, with *pex* and *dont_have*, that we listen
    to ut_pex and lt_donthave.
    """
    extensions = ({b"lt_donthave": OUR_DONT_HAVE} if dont_have else {}) | ({b"ut_pex": OUR_PEX} if pex else {})
    payload = bytes([EXTENDED, 0]) + bencode.encode({b"m": extensions, b"v": client.encode()})
    return len(payload).to_bytes(4, "big") + payload


def parse_handshake(raw: bytes) -> Handshake:
    """Read 68 bytes; SwarmError when they are not a BitTorrent handshake."""
    if len(raw) != HANDSHAKE_LENGTH or not raw.startswith(PROTOCOL):
        message = "the peer does not speak BitTorrent"
        raise SwarmError(message)
    return Handshake(info_hash=raw[28:48], peer_id=raw[48:68], extended=bool(raw[25] & 0x10))


def frame_limit(num_pieces: int) -> int:
    """Return how long a frame may be while we look at a torrent of *num_pieces* pieces."""
    return max((num_pieces + 7) // 8 + 1, EXTENDED_MAX_BYTES + 2)


def parse_frame(payload: bytes, num_pieces: int) -> Frame:
    """Read one frame without its length prefix; SwarmError when it contradicts the protocol or the torrent."""
    kind, body = payload[0], payload[1:]
    frame: Frame = Other(kind=kind)
    match kind:
        case 0 | 1 if not body:
            frame = Unchoke() if kind else Choke()
        case 4:
            frame = Have(index=_index(body, num_pieces))
        case 5:
            frame = Pieces(pieces=_bitfield(body, num_pieces))
        case 7:
            frame = Piece(block=_block(body[:8], length=len(body) - 8, num_pieces=num_pieces), data=body[8:])
        case 14:
            frame = Pieces(pieces=Bitfield.full(num_pieces))
        case 15:
            frame = Pieces(pieces=Bitfield.empty(num_pieces))
        case 16:
            length = int.from_bytes(body[8:], "big")
            frame = Reject(block=_block(body[:8], length=length, num_pieces=num_pieces))
        case 20:
            frame = _extension(body, num_pieces)
        case _:
            pass
    return frame


def _index(body: bytes, num_pieces: int) -> int:
    index = int.from_bytes(body[:INDEX_BYTES], "big")
    if len(body) != INDEX_BYTES or index >= num_pieces:
        message = f"the peer speaks of piece {index} in a torrent of {num_pieces}"
        raise SwarmError(message)
    return index


def _block(head: bytes, *, length: int, num_pieces: int) -> Block:
    """Read which block it is from index and begin, 4 bytes each."""
    if len(head) != 2 * INDEX_BYTES or not 0 < length <= BLOCK_MAX_BYTES:
        message = "the peer speaks of a block that nobody may ask for"
        raise SwarmError(message)
    return Block(piece=_index(head[:4], num_pieces), begin=int.from_bytes(head[4:], "big"), length=length)


def _bitfield(body: bytes, num_pieces: int) -> Bitfield:
    if len(body) != (num_pieces + 7) // 8:
        message = f"a bitfield of {len(body)} bytes is not of a torrent of {num_pieces} pieces"
        raise SwarmError(message)
    try:
        return Bitfield(body, num_pieces)
    except ValueError as error:
        raise SwarmError(str(error)) from error


def _extension(body: bytes, num_pieces: int) -> Frame:
    match body[:1]:
        case b"\x00":
            return _extended(body[1:])
        case b"\x01":
            return _pex(body[1:])
        case b"\x02":
            return DontHave(index=_index(body[1:], num_pieces))
        case _:
            return Other(kind=EXTENDED)


def _extended(body: bytes) -> Extended:
    said = _dictionary(body, "extended handshake")
    version, extensions = said.get(b"v"), said.get(b"m")
    client = printable(version) if isinstance(version, bytes) else None
    their_pex = extensions.get(b"ut_pex") if isinstance(extensions, dict) else None
    pex = isinstance(their_pex, int) and their_pex > 0
    return Extended(client=client, upload_only=said.get(b"upload_only") == 1, pex=pex)


def _pex(body: bytes) -> Pex:
    said = _dictionary(body, "PEX message")
    added, added6 = said.get(b"added", b""), said.get(b"added6", b"")
    if not isinstance(added, bytes) or not isinstance(added6, bytes):
        message = "the PEX message names no addresses"
        raise SwarmError(message)
    return Pex(added=(*compact4(added, PEX_MAX), *compact6(added6, PEX_MAX)))


def _dictionary(body: bytes, what: str) -> dict[bytes, Any]:
    try:
        said = bencode.decode(body)
    except MetainfoError as error:
        message = f"the {what} is {error}"
        raise SwarmError(message) from error
    if not isinstance(said, dict):
        message = f"the {what} is not a dictionary"
        raise SwarmError(message)
    return said


def printable(raw: bytes) -> str:
    """Return untrusted text without control characters, at most 128 characters."""
    text = raw[: 4 * CLIENT_MAX_CHARACTERS].decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable())[:CLIENT_MAX_CHARACTERS]
