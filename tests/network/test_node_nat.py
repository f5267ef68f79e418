"""Nodes behind one address see and are seen: by the connections that they open, and among themselves by BEP 14."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.network.conftest import Nginx, Processes, Tracker
from tests.network.hosts import Hosts
from tests.nodes import MIB, RunningNode, Site, wait_for

CYCLE_S = 10
CYCLES = 2


class Placed:
    """A node and the host that it runs on: whatever is asked of it is asked there."""

    def __init__(self, hosts: Hosts, host: str, node: RunningNode) -> None:
        """*node* runs on *host*."""
        self._hosts, self.host, self.node = hosts, host, node

    @property
    def inside(self) -> bool:
        """It is behind the NAT."""
        return self.host == "inside"

    def start(self) -> None:
        """Start the process there."""
        with self._hosts.at(self.host):
            self.node.start()

    def status(self) -> Any:
        """The node in one object."""
        with self._hosts.at(self.host):
            return self.node.status()

    def held(self, name: str) -> set[int]:
        """Pieces held of item *name*."""
        with self._hosts.at(self.host):
            return self.node.held(name)

    def sees(self, name: str) -> dict[str, int]:
        """Smartnodes that it sees as holders of item *name*, by address, and how many pieces each has."""
        with self._hosts.at(self.host):
            body = self.node.ask(f"/api/v1/items/{name}")
        view = (body or {}).get("view") or {"holders": []}
        return {h["address"]: h["pieces"] for h in view["holders"] if h["smartnode"]}


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """One host outside, a router with NAT in another /24 (probes are limited per /24), one host behind it."""
    made = Hosts()
    made.add("outside", "10.99.2.2/16")
    made.add("router", "10.99.1.1/16")
    made.add_behind("inside", "router", address="192.168.77.2/24", gateway="192.168.77.1/24")
    yield made
    made.close()


@pytest.fixture
def fleet(hosts: Hosts, processes: Processes, tmp_path: Path) -> Iterator[Callable[[int, int], list[Placed]]]:
    """Publishes two items outside and starts so many nodes behind the NAT and so many outside."""
    placed: list[Placed] = []

    def make(behind: int, beside: int) -> list[Placed]:
        folder = tmp_path / "www"
        folder.mkdir()
        with hosts.at("outside"):
            web = Nginx(processes, tmp_path / "nginx", folder, host="10.99.2.2", port=8080)
            site = Site(folder=folder, origin=web)  # type: ignore[arg-type]
            tracker = Tracker(processes, tmp_path / "tracker", host="10.99.2.2", port=6969)
            site.publish({"a.bin": 16 * MIB, "b.bin": 16 * MIB}, piece_length=MIB, trackers=[tracker.udp])
            tracker.start([metainfo.info_hash for metainfo in site.torrents.values()])
            web.start()
        for number in range(behind + beside):
            inside = number < behind
            address = "192.168.77.2" if inside else "10.99.2.2"
            node = RunningNode(tmp_path / f"node{number}", host=address, api_port=18_700 + number, api_host="127.0.0.1")
            node.configure(
                catalogue=site.catalogue,
                quota=24 * MIB,
                interval=f"{CYCLE_S} s",
                pace=1.0,
                listen=[f"{address}:{7000 + number}"],
                network="lan_discovery = true" if inside else "",
            )
            placed.append(Placed(hosts, "inside" if inside else "outside", node))
            placed[-1].start()
        return placed

    yield make
    for each in placed:
        each.node.process.ask_to_stop()
    for each in placed:
        each.node.process.end()


@pytest.mark.timeout(300)
def test_nodes_behind_one_address_see_and_are_seen(fleet: Any) -> None:
    """Of each torrent that it holds every node sees every other holder with all its pieces, within two cycles after
    all of them hold what they want. Of a torrent that it does not hold it sees the holders outside; those behind the
    NAT are listed as what cannot be seen: no probe reaches them, and they have no reason to connect.
    """
    nodes = fleet(8, 4)
    wait_for("all to hold their share", lambda: all(settled(each) for each in nodes), deadline_s=150, pause_s=1)
    began = [each.status()["cycle"] for each in nodes]
    held = {name: [each.held(name) for each in nodes] for name in ("a.bin", "b.bin")}
    unseen: list[str] = []

    def missing() -> list[str]:
        unseen.clear()
        found = []
        for name, holdings in held.items():
            holders = sum(bool(pieces) for pieces in holdings)
            for viewer, own in zip(nodes, holdings, strict=True):
                seen = len(viewer.sees(name))
                others = holders - bool(own)
                outside = sum(bool(p) and not n.inside for n, p in zip(nodes, holdings, strict=True) if n is not viewer)
                due = others if own else outside
                if seen < due:
                    found.append(f"{viewer.node.folder.name} ({viewer.host}) sees {seen} of {due} holders of {name}")
                elif seen < others:
                    unseen.append(f"{viewer.node.folder.name}: {others - seen} holders of {name} behind the NAT")
        return found

    late = (CYCLES + 1) * CYCLE_S + 20
    try:
        wait_for("everybody to be seen", lambda: not missing(), deadline_s=late, pause_s=1)
    finally:
        took = max(each.status()["cycle"] - first for each, first in zip(nodes, began, strict=True))
        print(f"{len(nodes)} nodes, {took} cycles; missing: {missing()}; cannot be seen: {unseen}")  # noqa: T201 -- listed


def settled(placed: Placed) -> bool:
    """The node holds something and has nothing under way."""
    status = placed.status()
    return bool(status and status["cycle"] > 1 and status["held_bytes"] and not status["in_flight_bytes"])
