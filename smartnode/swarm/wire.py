"""The BitTorrent wire protocol, as far as looking needs it: bytes in, frames out, nothing trusted (BEP 3, 6, 10).

Laws: a frame longer than what its kind may have ends the conversation; spare bits are cleared, never believed; our own
handshake never claims upload_only (two upload-only peers disconnect before bitfields are exchanged).
"""

from dataclasses import dataclass

from smartnode.domain.pieces import Bitfield
from smartnode.errors import MetainfoError, SwarmError
from smartnode.metainfo import bencode

PROTOCOL = b"\x13BitTorrent protocol"
RESERVED = b"\x00\x00\x00\x00\x00\x10\x00\x05"  # BEP 10 extension protocol, BEP 6 fast extension, BEP 5 DHT
HANDSHAKE_LENGTH = 68
EXTENDED_MAX_BYTES = 64 << 10
CLIENT_MAX_CHARACTERS = 128

HAVE, BITFIELD, HAVE_ALL, HAVE_NONE, EXTENDED = 4, 5, 14, 15, 20
HAVE_BYTES = 4


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
class Extended:
    """The BEP 10 handshake: ``v`` cut to 128 printable characters, None when the peer does not say."""

    client: str | None
    upload_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Any other message; looking does not need it."""

    kind: int


Frame = Pieces | Have | Extended | Other


def handshake(info_hash: bytes, peer_id: bytes) -> bytes:
    """Return our handshake, 68 bytes."""
    return PROTOCOL + RESERVED + info_hash + peer_id


def extended_handshake(client: str) -> bytes:
    """Return our BEP 10 handshake as a whole frame; it says who we are and offers nothing."""
    payload = bytes([EXTENDED, 0]) + bencode.encode({b"m": {}, b"v": client.encode()})
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
    match kind:
        case 5:
            return Pieces(pieces=_bitfield(body, num_pieces))
        case 14:
            return Pieces(pieces=Bitfield.full(num_pieces))
        case 15:
            return Pieces(pieces=Bitfield.empty(num_pieces))
        case 4:
            index = int.from_bytes(body, "big")
            if len(body) != HAVE_BYTES or index >= num_pieces:
                message = f"the peer has piece {index} of a torrent of {num_pieces}"
                raise SwarmError(message)
            return Have(index=index)
        case 20 if body[:1] == b"\x00":
            return _extended(body[1:])
        case _:
            return Other(kind=kind)


def _bitfield(body: bytes, num_pieces: int) -> Bitfield:
    if len(body) != (num_pieces + 7) // 8:
        message = f"a bitfield of {len(body)} bytes is not of a torrent of {num_pieces} pieces"
        raise SwarmError(message)
    try:
        return Bitfield(body, num_pieces)
    except ValueError as error:
        raise SwarmError(str(error)) from error


def _extended(body: bytes) -> Extended:
    try:
        said = bencode.decode(body[:EXTENDED_MAX_BYTES])
    except MetainfoError as error:
        message = f"the extended handshake is {error}"
        raise SwarmError(message) from error
    if not isinstance(said, dict):
        message = "the extended handshake is not a dictionary"
        raise SwarmError(message)
    version = said.get(b"v")
    client = printable(version) if isinstance(version, bytes) else None
    return Extended(client=client, upload_only=said.get(b"upload_only") == 1)


def printable(raw: bytes) -> str:
    """Return untrusted text without control characters, at most 128 characters."""
    text = raw[: 4 * CLIENT_MAX_CHARACTERS].decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable())[:CLIENT_MAX_CHARACTERS]
