"""Compact addresses."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm.compact import compact4, compact6


@given(st.lists(st.tuples(st.ip_addresses(), st.integers(0, 65535)), max_size=20), st.integers(0, 30))
def test_what_was_packed_is_read_back(peers: list[tuple[object, int]], limit: int) -> None:
    """Addresses come back in order, as many as asked for; port 0 is nobody and mapped IPv4 is IPv4."""
    for version, read in ((4, compact4), (6, compact6)):
        mine = [(ip_address(str(a)), p) for a, p in peers if ip_address(str(a)).version == version]
        raw = b"".join(a.packed + p.to_bytes(2, "big") for a, p in mine)
        expected = [Address(host=str(getattr(a, "ipv4_mapped", None) or a), port=p) for a, p in mine[:limit] if p]
        assert read(raw, limit) == expected


def test_a_cut_list_is_refused() -> None:
    """What is no whole number of peers is not evidence of any."""
    for read, size in ((compact4, 6), (compact6, 18)):
        with pytest.raises(SwarmError, match="no list of peers"):
            read(bytes(size + 1), 9)


def test_ipv4_in_ipv6_clothes_is_ipv4() -> None:
    """A mapped address falls under the limits of its real network."""
    raw = ip_address("::ffff:192.0.2.7").packed + (6881).to_bytes(2, "big")
    assert compact6(raw, 1) == [Address(host="192.0.2.7", port=6881)]
