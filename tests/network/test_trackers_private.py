"""A tracker on the public internet, which a namespace can hold, cannot aim this node at its own network."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address
from smartnode.swarm.tracker_line import TrackerManners
from smartnode.swarm.trackers import Trackers

HASH = InfoHash("ab" * 20)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PUBLIC = "93.184.216.34"
BODY = b"d8:intervali60e5:peers6:" + bytes((93, 184, 216, 35)) + (7001).to_bytes(2, "big") + b"e"
PEER = Address(host="93.184.216.35", port=7001)


@pytest.fixture
def public(netns: None) -> str:
    """A public address of this namespace."""
    assert netns is None
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if ip is None:
        pytest.skip("NOT RUN: ip is missing; apt install iproute2")
    subprocess.run([ip, "addr", "add", f"{PUBLIC}/32", "dev", "lo"], check=True)
    return PUBLIC


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:8081",
        "localhost:8081",
        "2130706433:8081",
        "[::ffff:127.0.0.1]:8081",
        "10.0.0.1:8081",
        PUBLIC + ":8081",
    ],
)
async def test_a_redirect_is_followed_to_public_addresses_only(public: str, target: str) -> None:
    """By address, by name, by number and in IPv6 clothes: what listens inside hears nothing."""
    heard: list[str] = []

    async def redirects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: http://{target}{line}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer.get_extra_info("sockname")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    outside = await asyncio.start_server(redirects, public, 8080)
    inside = await asyncio.start_server(answers, "0.0.0.0", 8081)
    asker = Trackers(TrackerManners(allow_private=False))
    named = await asker.peers(HASH, [f"http://{public}:8080/announce"], size=Bytes(9), now=NOW)
    outside.close()
    inside.close()
    if target.startswith(public):
        assert named == (PEER,)
        assert set(heard) == {public}
    else:
        assert named is None
        assert heard == []
        assert any("private" in line or "not public" in line for line in asker.degraded(NOW))


async def test_a_private_tracker_is_not_asked(public: str) -> None:
    """Named as such it has no standing; named by a name it is refused when the name leads inside."""
    asker = Trackers(TrackerManners(allow_private=False))
    private = [
        "udp://127.0.0.1:9/announce",
        "http://10.0.0.1/announce",
        "udp://[::1]:9/announce",
        "udp://localhost:9/a",
    ]
    assert await asker.peers(HASH, private, size=Bytes(9), now=NOW) is None
    assert await asker.scrape({url: [HASH] for url in private}, NOW) == {}
    assert public
    assert asker.health() == ()
