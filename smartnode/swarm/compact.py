"""Compact addresses: 6 bytes per IPv4 peer, 18 per IPv6 one (BEP 23, BEP 7, BEP 11, BEP 15), or nothing at all.

Laws: a string that is no whole number of entries is refused; port 0 is nobody; an IPv4 address in IPv6 clothes is IPv4,
so that limits per network see it as what it is.
"""

from ipaddress import IPv4Address, IPv6Address

from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError

V4_BYTES, V6_BYTES = 6, 18


def compact4(raw: bytes, limit: int) -> list[Address]:
    """Return at most *limit* IPv4 peers, in order; SwarmError when *raw* is cut."""
    return [address for entry in _entries(raw, V4_BYTES, limit) if (address := _address(entry)) is not None]


def compact6(raw: bytes, limit: int) -> list[Address]:
    """Return at most *limit* IPv6 peers, in order; SwarmError when *raw* is cut."""
    return [address for entry in _entries(raw, V6_BYTES, limit) if (address := _address(entry)) is not None]


def _entries(raw: bytes, size: int, limit: int) -> list[bytes]:
    if len(raw) % size:
        message = f"{len(raw)} bytes are no list of peers of {size} bytes each"
        raise SwarmError(message)
    return [raw[at : at + size] for at in range(0, min(len(raw), limit * size), size)]


def _address(entry: bytes) -> Address | None:
    port = int.from_bytes(entry[-2:], "big")
    if port == 0:
        return None
    if len(entry) == V4_BYTES:
        return Address(host=str(IPv4Address(entry[:-2])), port=port)
    host = IPv6Address(entry[:-2])
    return Address(host=str(host.ipv4_mapped or host), port=port)
