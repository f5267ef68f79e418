"""Whom a probe may reach: public addresses and unprivileged ports, a few per network; the rest is not ours to knock at.

The catalogue, trackers, the DHT and peers name addresses; any of them may lie to aim our probes at somebody.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from weakref import WeakValueDictionary

from smartnode.domain.swarm import Address
from smartnode.web.address import is_public

PER_NETWORK = 8
PER_SWARM = 40
AT_ONCE = 32
AT_ONCE_PER_NETWORK = 8
UNPRIVILEGED_PORT = 1024
PORTS_END = 65536


def reachable(address: Address, *, allow_private: bool) -> bool:
    """Say whether a probe may go there: numeric, unicast, global unless *allow_private*, a port of 1024 or above."""
    try:
        host = ip_address(address.host.partition("%")[0])
    except ValueError:
        return False
    if not 0 < address.port < PORTS_END or host.is_multicast or host.is_unspecified:
        return False
    if allow_private:
        return True
    return is_public(address.host) and address.port >= UNPRIVILEGED_PORT


def within_limits(addresses: Iterable[Address], *, allow_private: bool) -> list[Address]:
    """Return the addresses that one look may probe: each once, at most 8 per network, 40 in all, in the given order."""
    counted: Counter[str] = Counter()
    chosen: list[Address] = []
    for address in dict.fromkeys(addresses):
        if len(chosen) == PER_SWARM:
            break
        if not reachable(address, allow_private=allow_private):
            continue
        network = address.network
        if counted[network] < PER_NETWORK:
            counted[network] += 1
            chosen.append(address)
    return chosen


class Gate:
    """Lets so many probes be under way at once, in all and per network, however many swarms name the same peers."""

    def __init__(self, *, at_once: int = AT_ONCE, per_network: int = AT_ONCE_PER_NETWORK) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._per_network = per_network
        self._networks: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def open_for(self, address: Address) -> AsyncIterator[None]:
        """Wait for the turn of *address*; a crowded network waits by itself and takes no place of others."""
        network = address.network
        of_network = self._networks.get(network)
        if of_network is None:
            of_network = self._networks[network] = asyncio.Semaphore(self._per_network)
        async with of_network, self._all:
            yield
