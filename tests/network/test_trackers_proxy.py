"""Behind a proxy nothing goes around it: trackers and peers see the proxy's address only, UDP trackers see nothing."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire
from smartnode.swarm.probe import Manners, probe
from smartnode.swarm.tracker_line import TrackerManners
from smartnode.swarm.trackers import Trackers

HASH = InfoHash("ab" * 20)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROXY_HOST = "127.0.60.1"
NAMED = Address(host="127.0.61.9", port=7001)
BODY = b"d8:intervali60e5:peers6:" + bytes((127, 0, 61, 9)) + (7001).to_bytes(2, "big") + b"e"


@pytest.fixture(params=["socks5", "http"])
def proxy(request: Any, processes: Any, wait: Callable[..., Any], tmp_path: Path) -> Proxy:
    """A real proxy that alone knows the name ``tracker.test`` and goes out from an address of its own."""
    program = {"socks5": "microsocks", "http": "tinyproxy"}[request.param]
    if shutil.which(program) is None or shutil.which("unshare") is None:
        pytest.skip(f"NOT RUN: {program} or unshare is missing; apt install {program} util-linux")
    hosts, config = tmp_path / "hosts", tmp_path / "tinyproxy.conf"
    hosts.write_text("127.0.61.1 tracker.test\n")
    config.write_text(f"Port 1080\nListen {PROXY_HOST}\nBind {PROXY_HOST}\nTimeout 60\nMaxClients 64\nUser nobody\n")
    command = {
        "socks5": f"exec microsocks -i {PROXY_HOST} -p 1080 -b {PROXY_HOST}",
        "http": f"exec tinyproxy -d -c {config}",
    }[request.param]
    processes.start("unshare", "-m", "sh", "-c", f"mount --bind {hosts} /etc/hosts && {command}")
    wait("the proxy", lambda: answers(PROXY_HOST, 1080), pause_s=0.02)
    return Proxy(kind=ProxyKind(request.param), host=PROXY_HOST, port=1080)


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex((host, port)) == 0


def sent() -> int:
    """UDP datagrams that this namespace sent so far, by the kernel's own count."""
    return int(Path("/proc/thread-self/net/snmp").read_text().split("Udp:")[2].split()[3])


class Heard:
    """Servers that note who connects."""

    def __init__(self) -> None:
        """Heard nobody yet."""
        self.from_hosts: set[str] = set()
        self.requests: list[bytes] = []

    async def tracker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one HTTP request with one peer."""
        self.from_hosts.add(writer.get_extra_info("peername")[0])
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        await writer.drain()

    async def peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be a peer with piece 3 of 12."""
        self.from_hosts.add(writer.get_extra_info("peername")[0])
        try:
            await reader.readexactly(68)
            writer.write(wire.handshake(bytes.fromhex(HASH), b"-XX0001-abcdefghijkl"))
            writer.write(wire.extended_handshake("peer/1", pex=False) + b"\0\0\0\3\5\x10\0")
            await reader.read()
        except OSError:
            pass


@asynccontextmanager
async def serving(talk: Any, host: str, port: int) -> AsyncIterator[None]:
    """Serve *talk* at that place; over when the last conversation is."""
    talks: list[asyncio.Task[object]] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(noted, host, port)
    try:
        yield
    finally:
        server.close()
        if talks:
            _, pending = await asyncio.wait(talks, timeout=20)
            assert not pending


async def test_http_trackers_are_asked_through_the_proxy_which_resolves_their_names(proxy: Proxy) -> None:
    """The name is known to the proxy alone, and the tracker sees the proxy alone."""
    heard = Heard()
    asker = Trackers(TrackerManners(allow_private=True, proxy=proxy, lookup_s=20))
    async with serving(heard.tracker, "127.0.61.1", 8080):
        named = await asker.peers(HASH, ["http://tracker.test:8080/announce"], size=Bytes(9), now=NOW)
    assert named == (NAMED,), asker.degraded(NOW)
    assert heard.from_hosts == {PROXY_HOST}
    assert [b"event=started" in r for r in heard.requests] == [True, False]
    assert all(b"Host: tracker.test:8080" in r for r in heard.requests)


async def test_udp_trackers_are_not_asked_at_all(proxy: Proxy, tracker: Any) -> None:
    """A running UDP tracker hears nothing; the look-up is unknown and one line says why."""
    one = tracker([HASH])
    asker = Trackers(TrackerManners(allow_private=True, proxy=proxy))
    before = sent()
    assert await asker.peers(HASH, [one.udp], size=Bytes(9), now=NOW) is None
    assert await asker.scrape({one.udp: [HASH]}, NOW) == {}
    assert sent() == before
    (line,) = asker.degraded(NOW)
    assert line.startswith("swarm: UDP trackers are not asked")


async def test_peers_are_probed_through_the_proxy(proxy: Proxy) -> None:
    """The peer sees the proxy's address; nobody there is a SwarmError, as without a proxy."""
    heard = Heard()
    manners = Manners(client="me/1", settle_s=0.1, proxy=proxy)
    async with serving(heard.peer, "127.0.61.2", 7000):
        seen = await probe(Address(host="127.0.61.2", port=7000), HASH, num_pieces=12, manners=manners)
    assert seen.pieces == Bitfield.from_indices([3], 12)
    assert heard.from_hosts == {PROXY_HOST}
    with pytest.raises(SwarmError):
        await probe(Address(host="127.0.61.2", port=7000), HASH, num_pieces=12, manners=manners)


async def test_a_proxy_that_is_gone_is_never_gone_around() -> None:
    """With a dead proxy neither trackers nor peers hear anything."""
    heard = Heard()
    dead = Proxy(kind=ProxyKind.SOCKS5, host=PROXY_HOST, port=9)
    asker = Trackers(TrackerManners(allow_private=True, proxy=dead))
    async with serving(heard.tracker, "127.0.61.1", 8080), serving(heard.peer, "127.0.61.2", 7000):
        assert await asker.peers(HASH, ["http://127.0.61.1:8080/announce"], size=Bytes(9), now=NOW) is None
        with pytest.raises(SwarmError):
            await probe(
                Address(host="127.0.61.2", port=7000), HASH, num_pieces=12, manners=Manners(client="me", proxy=dead)
            )
    assert heard.from_hosts == set()
