"""Nodes of one operator are one holder for an eviction: what takes one of them may take all.

A sibling is known by its node id or by where it is. Ids are renewed every month or two, so that an address is what
lasts; an id serves a node whose address changes. Whoever shares a /24 (IPv4) or /48 (IPv6) with a sibling counts with
it, for holders of one network are one holder too. Naming siblings can only make an eviction need more others, never
fewer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Self

from smartnode.domain.identity import NodeId
from smartnode.domain.swarm import Address

OPERATOR: Final = "siblings"
"""The group of all siblings; no network is called so."""

_ID = re.compile(r"[0-9a-fA-F]{40}")
_FORMS = "use the 40 hex digits of a node id, an address, or a network such as 203.0.113.0/24"


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """The other nodes of this node's operator: by node id, and by networks of which every node is one."""

    ids: frozenset[NodeId] = frozenset()
    networks: frozenset[IPv4Network | IPv6Network] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """Read node ids (hex), addresses and networks; ValueError names the first that is none of them."""
        ids: set[NodeId] = set()
        networks: set[IPv4Network | IPv6Network] = set()
        for name in names:
            try:
                if _ID.fullmatch(name):
                    ids.add(NodeId(bytes.fromhex(name)))
                else:
                    networks.add(ip_network(name))
            except ValueError:
                message = f"{name!r} names no node, {_FORMS}"
                raise ValueError(message) from None
        return cls(ids=frozenset(ids), networks=frozenset(networks))

    def include(self, node: NodeId, address: Address) -> bool:
        """Say whether *node*, seen at *address*, is one of them."""
        if node in self.ids:
            return True
        host = ip_address(address.host.partition("%")[0]) if self.networks else None
        return any(host in network for network in self.networks)

    def groups(self, seen: Mapping[NodeId, Address]) -> dict[NodeId, str]:
        """Return whom each of *seen* counts as one with: the siblings, or its own network."""
        networks = {node: address.network for node, address in seen.items()}
        shared = {networks[node] for node, address in seen.items() if self.include(node, address)}
        return {node: OPERATOR if network in shared else network for node, network in networks.items()}


NO_SIBLINGS: Final = Siblings()
