"""Network settings of the engine, counted by the kernel: through the proxy or not, by one device or not."""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import ItemKey
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.session import Engine
from smartnode.metainfo.read import Metainfo, read_metainfo
from tests.engine.mirror import Mirror
from tests.engine.node import engine_at
from tests.network.conftest import need, run
from tests.network.engine_lab import Relay
from tests.plain import plain_session

PROXY, BEYOND = "127.0.90.1", "127.0.90.2"
PEER, WEB, TRACKER = "127.0.61.1", "127.0.64.1", "127.0.103.1"
COUNTED = re.compile(r"counter (\w+) \{\s*packets (\d+)")
RULES = f"""
table inet seen {{
  counter around {{ }}
  counter names {{ }}
  counter routers {{ }}
  counter one {{ }}
  counter two {{ }}
  counter foreign {{ }}
  chain out {{
    type filter hook output priority 0;
    ip daddr {{ {PEER}, {WEB}, {TRACKER} }} ip saddr != {{ {BEYOND}, {PEER}, {WEB}, {TRACKER} }} counter name around
    meta l4proto {{ tcp, udp }} th dport 53 counter name names
    udp dport {{ 1900, 5350, 5351 }} counter name routers
    ip saddr 198.18.2.1 counter name foreign
    oifname "one" meta l4proto {{ tcp, udp }} counter name one
    oifname "two" meta l4proto {{ tcp, udp }} counter name two
  }}
}}
"""


@pytest.fixture
def counted(processes: Any) -> Callable[[], dict[str, int]]:  # noqa: ARG001 -- after the network namespace is there
    """Count what leaves; call it for the packets seen so far."""
    run(need("nft"), "-f", "-", text=RULES)
    return lambda: {name: int(packets) for name, packets in COUNTED.findall(run(need("nft"), "list", "ruleset"))}


@pytest.fixture
async def engine(processes: Any, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Engine]]]:  # noqa: ARG001 -- as counted
    """Start nodes: ``engine("127.0.60.1", ...)``; they are stopped at the end."""
    started: list[Engine] = []
    folders = count()

    async def start(host: str = "127.0.60.1", **changes: object) -> Engine:
        started.append(engine_at(host, tmp_path / f"node{next(folders)}", **changes))
        await started[-1].start()
        return started[-1]

    yield start
    await asyncio.gather(*(one.stop() for one in started))


class Swarm:
    """A dataset with a peer, a mirror and a tracker each."""

    def __init__(self, folder: Path) -> None:
        """Serve it."""
        folder.mkdir()
        (folder / "x.bin").write_bytes(bytes(range(256)) * (1 << 14))
        created = lt.create_torrent(
            list(lt.list_files(str(folder / "x.bin"), flags=0)), 1 << 18, lt.create_torrent.v1_only
        )
        lt.set_piece_hashes(created, str(folder), lambda _: None)
        self.relay = Relay(TRACKER, 6969, (TRACKER, 9))
        self.http = Mirror(folder / "x.bin", TRACKER, mode="gone")
        for tier, url in enumerate((self.relay.url, self.http.url.replace("x.bin", "announce"))):
            created.add_tracker(url, tier)
        self.metainfo: Metainfo = read_metainfo(lt.bencode(created.generate()))
        self.mirror = Mirror(folder / "x.bin", WEB)
        self.session = plain_session(PEER, alert_mask=0)
        params = lt.load_torrent_buffer(self.metainfo.raw)
        params.save_path, params.trackers = str(folder), []
        params.flags = (params.flags & ~int(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)) | int(
            lt.torrent_flags.seed_mode
        )
        self.handle = self.session.add_torrent(params)

    async def join(self, engine: Engine, *, peer: bool = True, mirror: bool = True) -> None:
        """Let *engine* want all of it and know of everybody."""
        item, key = Item(key=ItemKey(collection="c", id="x"), torrent=None), self.metainfo.info_hash
        await engine.want(item, self.metainfo, Bitfield.full(self.metainfo.layout.num_pieces))
        if mirror:
            engine.use_web_seeds(key, [self.mirror.url])
        if peer:
            await engine.introduce(key, [Address(host=PEER, port=self.session.listen_port())])

    def held_by(self, engine: Engine) -> bool:
        """Say whether *engine* holds all of it."""
        return engine.holdings()[self.metainfo.info_hash].have.count() == self.metainfo.layout.num_pieces

    def close(self) -> None:
        """End."""
        self.session.pause()
        for one in (self.mirror, self.http):
            one.stop()
        self.relay.close()


@pytest.fixture
def swarm(processes: Any, tmp_path: Path) -> Iterator[Swarm]:  # noqa: ARG001 -- as counted
    """A dataset and everybody who has it."""
    one = Swarm(tmp_path / "swarm")
    yield one
    one.close()


async def until(claim: Callable[[], Any], *, within_s: float = 40) -> None:
    """Wait until a claim holds."""
    async with asyncio.timeout(within_s):
        while not claim():  # noqa: ASYNC110 -- what others see is read, it signals nothing
            await asyncio.sleep(0.05)


def start_proxy(kind: ProxyKind, processes: Any, folder: Path) -> Proxy:
    """Start Debian's proxy of that kind; what it sends on comes from BEYOND."""
    if kind is ProxyKind.SOCKS5:
        processes.start(need("microsocks"), "-i", PROXY, "-p", "1080", "-b", BEYOND, "-u", "me", "-P", "secret")
        return Proxy(kind=kind, host=PROXY, port=1080, username="me", password="secret")
    config = folder / "tinyproxy.conf"
    config.write_text(f"Listen {PROXY}\nPort 1080\nBind {BEYOND}\nTimeout 60\nMaxClients 50\nBasicAuth me secret\n")
    processes.start(need("tinyproxy"), "-d", "-c", str(config))
    return Proxy(kind=kind, host=PROXY, port=1080, username="me", password="secret")


@pytest.mark.parametrize("kind", ProxyKind)
@pytest.mark.parametrize("source", ["peer", "mirror"])
async def test_everything_goes_through_the_proxy(
    kind: ProxyKind,
    source: str,
    swarm: Swarm,
    engine: Any,
    counted: Any,
    processes: Any,
    wait: Any,
    tmp_path: Path,
) -> None:
    """A peer and a mirror are reached through it, the HTTP tracker too; not one packet goes around it, and no TCP port
    is open.
    """
    proxy = start_proxy(kind, processes, tmp_path)
    wait("the proxy", lambda: f"{PROXY}:1080" in run(need("ss"), "-lnt"))
    node = await engine(proxy=proxy, outgoing=None, dht=True, port_forwarding=True, lan_discovery=True)
    await swarm.join(node, peer=source == "peer", mirror=source == "mirror")
    await until(lambda: swarm.held_by(node))
    await until(lambda: swarm.http.connections)
    seen = counted()
    assert (seen["around"], seen["names"], seen["routers"]) == (0, 0, 0)
    assert swarm.relay.packets == 0
    assert node.listen_port == 0


@pytest.mark.parametrize("kind", ProxyKind)
async def test_a_dead_proxy_is_not_gone_around(kind: ProxyKind, swarm: Swarm, engine: Any, counted: Any) -> None:
    """Nothing is reached, nothing is looked up, and the node runs."""
    told: list[Any] = []
    node = await engine(proxy=Proxy(kind=kind, host=PROXY, port=1080), outgoing=None, dht=True, lan_discovery=True)
    node.on_mirror_failed = told.append
    await swarm.join(node)
    node.use_web_seeds(swarm.metainfo.info_hash, [swarm.mirror.url, "http://mirror.invalid/x.bin"])
    await until(lambda: told)
    await asyncio.sleep(3)  # nothing comes, and nothing tells of it
    seen = counted()
    assert (seen["around"], seen["names"], seen["routers"]) == (0, 0, 0)
    assert swarm.mirror.connections == swarm.http.connections == swarm.relay.packets == 0
    assert not swarm.held_by(node)


@pytest.fixture
def wires(processes: Any) -> None:  # noqa: ARG001 -- as counted
    """Two devices, ``one`` (198.18.1.1) with the way out and ``two`` (198.18.2.1); nobody is at their other ends."""
    ip = need("ip")
    for number, name in ((1, "one"), (2, "two")):
        run(ip, "link", "add", name, "type", "veth", "peer", "name", f"{name}end")
        run(ip, "address", "add", f"198.18.{number}.1/24", "dev", name)
        run(ip, "link", "set", f"{name}end", "up")
        run(ip, "link", "set", name, "up")
    run(ip, "route", "add", "default", "via", "198.18.1.254")


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
@pytest.mark.usefixtures("wires")
async def test_the_router_is_asked_only_when_the_volunteer_says_so(on: bool, engine: Any, counted: Any) -> None:  # noqa: FBT001 -- a parameter
    """UPnP and NAT-PMP: with port_forwarding off not one packet leaves for them."""
    await engine("198.18.1.1", outgoing=None, port_forwarding=on)
    if on:
        await until(lambda: counted()["routers"] >= 2)
    else:
        await asyncio.sleep(3)  # nothing comes, and nothing tells of it
        assert counted()["routers"] == 0


@pytest.mark.usefixtures("wires")
async def test_two_nodes_of_one_house_find_each_other(engine: Any, swarm: Swarm) -> None:
    """BEP 14: with lan_discovery on both sides, and nothing else, one fetches from the other."""
    run(need("ip"), "address", "add", "198.18.1.2/24", "dev", "one")
    holder = await engine("198.18.1.1", lan_discovery=True)
    other = await engine("198.18.1.2", lan_discovery=True)
    await swarm.join(holder, peer=False)
    await until(lambda: swarm.held_by(holder))
    await swarm.join(other, peer=False, mirror=False)
    await until(lambda: swarm.held_by(other))


@pytest.mark.parametrize("way", ["one", "198.18.1.1"])
@pytest.mark.usefixtures("wires")
async def test_connections_leave_by_the_chosen_device_only(way: str, engine: Any, swarm: Swarm, counted: Any) -> None:
    """Bound to a device by its name, nothing leaves by the other, not even to who is there; bound to an address,
    nothing leaves with another one, whatever way the host's routes choose.
    """
    node = await engine("198.18.1.1", outgoing=way)
    await swarm.join(node, peer=False, mirror=False)
    for host in ("198.18.1.9", "198.18.2.9"):
        await node.introduce(swarm.metainfo.info_hash, [Address(host=host, port=7000)])
    node.use_web_seeds(swarm.metainfo.info_hash, ["http://198.18.2.9:8080/x.bin", "http://198.18.1.9:8080/x.bin"])
    await until(lambda: counted()["one"] >= 3)
    await asyncio.sleep(2)  # nothing comes, and nothing tells of it
    assert counted()["foreign"] == 0
    if way == "one":
        assert counted()["two"] == 0


async def test_trackers_are_told_the_address_that_the_volunteer_gave(engine: Any, swarm: Swarm) -> None:
    """announce_ip is what a UDP tracker reads."""
    swarm.relay.answer_connects = True
    node = await engine(announce_ip="203.0.113.7")
    await swarm.join(node, peer=False, mirror=False)
    await until(lambda: swarm.relay.seen)
    assert swarm.relay.seen[0].address == struct.unpack(">I", bytes((203, 0, 113, 7)))[0]
