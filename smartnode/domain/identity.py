"""Names never change their meaning: an info-hash is 40 lower-case hex digits, a node id 20 bytes, an item a
(collection, id).

The key of a torrent is its v1 info-hash, or its v2 hash cut to 20 bytes (BEP 52). Item ids are unique only within a
collection.
"""

import re
from dataclasses import dataclass
from typing import NewType

InfoHash = NewType("InfoHash", str)
"""40 lower-case hex digits: the v1 info-hash (BEP 3), or the first 20 bytes of the v2 one (BEP 52)."""

NodeId = NewType("NodeId", bytes)
"""20 bytes: the whole BitTorrent peer id, ``-SN`` + 4 digits of the protocol version + ``-`` + 12 random bytes."""

NODE_ID_LENGTH = 20
PROTOCOL_VERSION = 1
NODE_ID_PREFIX = f"-SN{PROTOCOL_VERSION:04d}-".encode("ascii")
_INFO_HASH = re.compile(r"[0-9a-f]{40}")
_CLIENT = re.compile(r"smartnode/[0-9A-Za-z][0-9A-Za-z.+!-]{0,31} \(([a-z0-9-]{1,32})/([0-9]{1,4})\)")
_PROBER = re.compile(r"smartnode/[0-9A-Za-z][0-9A-Za-z.+!-]{0,31} probe")


def info_hash(text: str) -> InfoHash:
    """Return *text* as an InfoHash; ValueError unless it is 40 hex digits (upper case is lowered)."""
    lowered = text.lower()
    if _INFO_HASH.fullmatch(lowered) is None:
        message = f"not an info-hash of 40 hex digits: {text[:80]!r}"
        raise ValueError(message)
    return InfoHash(lowered)


def node_id(raw: bytes) -> NodeId:
    """Return *raw* as a NodeId; ValueError unless it is 20 bytes."""
    if len(raw) != NODE_ID_LENGTH:
        message = f"a node id has {NODE_ID_LENGTH} bytes, not {len(raw)}"
        raise ValueError(message)
    return NodeId(raw)


def client_of(version: str, network_id: str) -> str:
    """Return what a smartnode of *version* says of itself in BEP 10 ``v``: network id and protocol version included."""
    return f"smartnode/{version} ({network_id}/{PROTOCOL_VERSION})"


def prober_of(version: str) -> str:
    """Return what the wire probe of a smartnode of *version* says of itself: it only looks, and holds nothing."""
    return f"smartnode/{version} probe"


def is_prober(client: str | None) -> bool:
    """Say whether BEP 10 ``v`` names a wire probe; who calls itself so is left out, which gains nobody anything."""
    return client is not None and _PROBER.fullmatch(client) is not None


def is_smartnode(client: str | None, network_id: str, protocol_version: int = PROTOCOL_VERSION) -> bool:
    """Say whether BEP 10 ``v`` names a smartnode of this network and protocol; *client* is untrusted text."""
    said = None if client is None else _CLIENT.fullmatch(client)
    return said is not None and said.groups() == (network_id, str(protocol_version))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ItemKey:
    """A STAC item: its id is unique within its collection only."""

    collection: str
    id: str

    def __str__(self) -> str:
        """``collection/id``, as the command line and JSON spell it; the id alone when the item has no collection."""
        return f"{self.collection}/{self.id}" if self.collection else self.id
