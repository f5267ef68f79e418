"""Several hosts on one machine: a network namespace each, joined by veth pairs and, where asked, a NAT by nftables."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.network.conftest import CLONE_NEWNET, enter, need, run, unshare

NAT = """
table ip nat {
    chain out { type nat hook postrouting priority srcnat; oifname "outer" masquerade; }
    chain in { type filter hook forward priority filter; policy accept;
        iifname "outer" ct state established,related accept
        iifname "outer" drop
    }
}
"""


class Hosts:
    """Named namespaces; the one that the test began in is the switch that all of them are plugged into."""

    def __init__(self) -> None:
        """Begin with the test's own namespace as the switch: a bridge that carries no address of its own."""
        self._ip = need("ip")
        self._spaces: dict[str, int] = {"switch": os.open("/proc/thread-self/ns/net", os.O_RDONLY)}
        run(self._ip, "link", "add", "bridge", "type", "bridge")
        run(self._ip, "link", "set", "bridge", "up")

    def add(self, name: str, address: str) -> None:
        """Plug a host into the switch; *address* with its prefix length."""
        self._new(name)
        run(self._ip, "link", "add", f"p-{name}", "type", "veth", "peer", "name", "outer", "netns", self._path(name))
        run(self._ip, "link", "set", f"p-{name}", "master", "bridge", "up")
        with self.at(name):
            run(self._ip, "address", "add", address, "dev", "outer")
            run(self._ip, "link", "set", "outer", "up")

    def add_behind(self, name: str, router: str, *, address: str, gateway: str) -> None:
        """Put a host behind *router*, which lets answers in and nothing else; both addresses with prefix length."""
        self._new(name)
        with self.at(router):
            place = ("peer", "name", "outer", "netns", self._path(name))
            run(self._ip, "link", "add", "inner", "type", "veth", *place)
            run(self._ip, "address", "add", gateway, "dev", "inner")
            run(self._ip, "link", "set", "inner", "up")
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            run(need("nft"), "-f", "-", text=NAT)
        with self.at(name):
            run(self._ip, "address", "add", address, "dev", "outer")
            run(self._ip, "link", "set", "outer", "up")
            run(self._ip, "route", "add", "default", "via", gateway.partition("/")[0])

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Run the block, and start its processes, on the host *name*."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(self._spaces[name])
        try:
            yield
        finally:
            enter(before)
            os.close(before)

    def close(self) -> None:
        """Let go of every namespace; each is gone when its last process is."""
        for space in self._spaces.values():
            os.close(space)

    def _new(self, name: str) -> None:
        unshare(CLONE_NEWNET)
        try:
            self._spaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            run(self._ip, "link", "set", "lo", "up")
        finally:
            enter(self._spaces["switch"])

    def _path(self, name: str) -> str:
        return f"/proc/{os.getpid()}/fd/{self._spaces[name]}"
