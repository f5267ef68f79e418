"""The way through a proxy: whatever answers there, the failure is one that callers know, and it comes in time."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from smartnode.domain.network import Proxy, ProxyKind, Way
from smartnode.web import transport
from smartnode.web.transport import client


class Stranger:
    """Something at a proxy's address that is none: says *greeting*, then *more* when it is spoken to, then hangs up."""

    def __init__(self) -> None:
        self.greeting: bytes | None = b""
        self.more = b""
        self.heard = b""
        self.port = 0

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            self.heard = await reader.read(4096)
            if self.greeting is None:
                await reader.read()
                return
            writer.write(self.greeting)
            await writer.drain()
            if self.more:
                self.heard += await reader.read(4096)
                writer.write(self.more)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    """One of them on loopback."""
    running = Stranger()
    server = await asyncio.start_server(running.speak, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    yield running
    server.close()
    await server.wait_closed()


def proxy_at(port: int, kind: ProxyKind = ProxyKind.SOCKS5, *, password: str | None = None) -> Proxy:
    """Return a proxy on loopback."""
    username = None if password is None else "me"
    return Proxy(kind=kind, host="127.0.0.1", port=port, username=username, password=password)


@pytest.mark.parametrize("kind", ProxyKind)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("greeting", "more"),
    [
        (b"", b""),
        (b"\x05", b""),
        (b"\x05\x00", b""),
        (b"\x05\xff", b""),
        (b"\x05\x02", b""),
        (b"\x05\x00", b"garbage"),
        (b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"),
        (b"\x04\x5a\0\0\0\0\0\0", b""),
        (b"SSH-2.0-OpenSSH\r\n", b""),
        (b"\xff" * 300, b""),
    ],
)
async def test_what_is_no_proxy_is_a_transport_error(
    stranger: Stranger, kind: ProxyKind, scheme: str, greeting: bytes, more: bytes
) -> None:
    """No answer to a greeting crosses the wall as anything but httpx.TransportError."""
    stranger.greeting, stranger.more = greeting, more
    async with client(allow_private=False, way=Way(proxy=proxy_at(stranger.port, kind))) as http:
        with pytest.raises(httpx.TransportError):
            await http.get(f"{scheme}://name.invalid/x")


async def test_a_web_server_where_a_socks_proxy_should_be_is_named(stranger: Stranger) -> None:
    """The likely mistake gives one line with the proxy, the cure, and no password."""
    stranger.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    async with client(allow_private=False, way=Way(proxy=proxy_at(stranger.port, password="secret"))) as http:
        with pytest.raises(httpx.ProxyError, match=r"does not speak socks5; check network\.proxy") as caught:
            await http.get("http://name.invalid/x")
    assert "secret" not in str(caught.value)


async def test_a_silent_proxy_is_given_up(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits for a SOCKS greeting without a limit of its own; here there is one."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(transport, "READ_TIMEOUT_S", 0.1)
    stranger.greeting = None
    async with client(allow_private=False, way=Way(proxy=proxy_at(stranger.port))) as http:
        with pytest.raises(httpx.ProxyError, match="does not answer"):
            await http.get("http://name.invalid/x")


async def test_names_go_to_the_proxy_as_they_are(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS5 (RFC 1928, address type 3) and CONNECT carry the name; nothing is asked of the resolver of this host."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def noting(host: str, *args: object, **more: object) -> object:
        asked.append(host)
        return real(host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    stranger.greeting, stranger.more = b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"
    async with client(allow_private=False, way=Way(proxy=proxy_at(stranger.port))) as http:
        for scheme, port in (("http", b"\x00\x50"), ("https", b"\x01\xbb")):
            with pytest.raises(httpx.ProxyError, match=r"refuses: .*Host unreachable"):
                await http.get(f"{scheme}://only.the.proxy.knows/x")
            assert stranger.heard.endswith(b"\x05\x01\x00\x03\x14only.the.proxy.knows" + port)
    stranger.greeting, stranger.more = b"HTTP/1.1 502 No\r\n\r\n", b""
    async with client(allow_private=False, way=Way(proxy=proxy_at(stranger.port, ProxyKind.HTTP))) as http:
        with pytest.raises(httpx.ProxyError, match="refuses: 502 No"):
            await http.get("https://only.the.proxy.knows/x")
    assert stranger.heard.startswith(b"CONNECT only.the.proxy.knows:443 HTTP/1.1")
    assert [host for host in asked if "knows" in str(host)] == []


async def test_connections_leave_from_the_local_address() -> None:
    """A node that is bound to one address asks from there."""
    callers: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(allow_private=True, way=Way(local_host="127.0.38.1")) as http:
        assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 204
    assert callers == ["127.0.38.1"]
