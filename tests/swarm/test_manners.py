"""Whom a probe may reach."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.swarm import Address
from smartnode.swarm.manners import PER_NETWORK, PER_SWARM, Gate, reachable, within_limits


def test_private_addresses_are_never_probed_unless_allowed() -> None:
    """Loopback, private, link-local, mapped and reserved addresses stay closed, and so do privileged ports."""
    for host in (
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::c0a8:101",
        "2002:c0a8:101::1",
        "::127.0.0.1",
    ):
        address = Address(host=host, port=6881)
        assert not reachable(address, allow_private=False), host
        assert reachable(address, allow_private=True), host
    assert reachable(Address(host="8.8.8.8", port=6881), allow_private=False)
    assert reachable(Address(host="2001:4860:4860::8888", port=6881), allow_private=False)
    assert not reachable(Address(host="8.8.8.8", port=22), allow_private=False)


def test_nonsense_is_never_probed() -> None:
    """Names, multicast, unspecified addresses and impossible ports are refused even where private ones are allowed."""
    for host, port in (("localhost", 6881), ("224.0.0.1", 6881), ("0.0.0.0", 6881), ("8.8.8.8", 0), ("8.8.8.8", 70000)):
        assert not reachable(Address(host=host, port=port), allow_private=True), host


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.integers(1024, 1100)), max_size=300))
def test_a_look_never_floods_a_network(named: list[tuple[int, int, int]]) -> None:
    """However many addresses are named, a look probes each once, few per /24 and few in all, in the order given."""
    addresses = [Address(host=f"93.184.{a}.{b}", port=p) for a, b, p in named]
    chosen = within_limits(addresses, allow_private=False)
    assert len(chosen) == len(set(chosen)) <= PER_SWARM
    for address in chosen:
        assert sum(c.network == address.network for c in chosen) <= PER_NETWORK
    assert chosen == sorted(chosen, key=addresses.index)


def test_networks_are_what_an_operator_owns() -> None:
    """A /24 of IPv4 and a /48 of IPv6 are one network."""
    assert Address(host="93.184.1.9", port=1).network == Address(host="93.184.1.200", port=2).network
    assert Address(host="2001:db8:1:2::1", port=1).network == Address(host="2001:db8:1:ffff::1", port=1).network
    assert Address(host="2001:db8:1::1", port=1).network != Address(host="2001:db8:2::1", port=1).network


async def test_a_crowded_network_waits_by_itself() -> None:
    """However many swarms name one network, few of its addresses are asked at once, and others go on meanwhile."""
    gate = Gate(at_once=8, per_network=2)
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()
    release = asyncio.Event()

    async def ask(address: Address) -> None:
        async with gate.open_for(address):
            network = address.network
            under_way[network] += 1
            most[network] = max(most[network], under_way[network])
            if under_way.total() == 2 + 2:
                release.set()
            await release.wait()
            under_way[network] -= 1

    crowd = [Address(host=f"93.184.1.{n}", port=6881) for n in range(50)]
    others = [Address(host=f"93.184.2.{n}", port=6881) for n in range(2)]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for address in (*crowd, *others):
            group.create_task(ask(address))
    assert set(most.values()) == {2}
    assert len(most) == 2
