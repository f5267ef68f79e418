"""A connection goes to the address that was checked: names are resolved once, here, and every address must be public.

Without the pin a name could resolve to a public address for the check and to a private one for the connection (DNS
rebinding). Used for whatever a catalogue row names; the configured catalogue address itself may be private.
"""

import asyncio
import functools
import ssl
from typing import Any

import httpx

from smartnode.domain.network import STRAIGHT, Proxy, Way
from smartnode.web.address import is_public
from smartnode.web.names import look_up

MAX_ADDRESSES = 4
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
_CURE = "set network.allow_private = true only if this node may reach its own network"
_PROXY_CURE = "check network.proxy"


def client(*, allow_private: bool, way: Way = STRAIGHT) -> httpx.AsyncClient:
    """Return a client without redirects, kept connections, cookies or proxies of the environment; *way*: how its
    connections leave this host.

    With a proxy nothing is resolved here: names go to the proxy as they are, so that nothing leaks past it. What a
    name resolves to is then the proxy's matter; literal private addresses are refused before (``web_address``).
    """
    plain = httpx.AsyncHTTPTransport(
        verify=_trust(),
        trust_env=False,
        proxy=None if way.proxy is None else httpx.Proxy(way.proxy.url),
        local_address=way.local_host,
        # A pinned connection is known to the pool by its address alone: one host's must not serve another's.
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=0),
    )
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    transport: httpx.AsyncBaseTransport = plain
    if way.proxy is not None:
        transport = ProxiedTransport(plain, way.proxy)
    elif not allow_private:
        transport = PinnedTransport(plain)
    return httpx.AsyncClient(
        transport=transport,
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
    )


class PinnedTransport(httpx.AsyncBaseTransport):
    """Resolves, checks and pins, then hands on; httpx.ConnectError when an address is not public."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* to a checked address of its host, the name kept for ``Host`` and TLS."""
        host = request.url.raw_host.decode("ascii")  # as it goes out; decoding "xn--" may raise past httpx's own errors
        addresses = await resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        for address in addresses:
            if not is_public(address):
                message = f"{host} is {address}, which is not a public address; {_CURE}"
                raise httpx.ConnectError(message, request=request)
        failure: httpx.TransportError | None = None
        for address in addresses[:MAX_ADDRESSES]:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError(f"{host} has no address", request=request)

    async def aclose(self) -> None:
        """Close what is below."""
        await self._inner.aclose()


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Hands on to a proxy; httpx.ProxyError when what answers there is none, or says nothing until the deadline.

    httpx 0.28 has neither a time limit for a SOCKS greeting nor a name of its own for a malformed one, and leaves the
    connection open after both (httpcore 1.0.9).
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, proxy: Proxy) -> None:
        self._inner, self._proxy = inner, proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* through the proxy."""
        opened: list[Any] = []

        async def note(event: str, seen: dict[str, Any]) -> None:
            if event.endswith("connect_tcp.complete"):
                opened.append(seen["return_value"])

        request.extensions = {**request.extensions, "trace": note}
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S + READ_TIMEOUT_S):
                return await self._inner.handle_async_request(request)
        except BaseException as error:
            for stream in opened:
                await stream.aclose()
            match error:
                case TimeoutError():
                    reason = f"does not answer; {_PROXY_CURE}"
                case _ if isinstance(error, AssertionError) or type(error).__module__.startswith("socksio"):
                    reason = f"does not speak {self._proxy.kind.value}; {_PROXY_CURE}"
                case httpx.ProxyError():
                    reason = f"refuses: {error}"
                case _:
                    raise
            message = f"the proxy {self._proxy} {reason}"
            raise httpx.ProxyError(message, request=request) from error

    async def aclose(self) -> None:
        """Close what is below."""
        await self._inner.aclose()


async def resolve(host: str, port: int) -> list[str]:
    """Return the numeric addresses of *host*, each once, in the resolver's order; httpx.ConnectError without one."""
    try:
        return await look_up(host, port)
    except (OSError, ValueError) as error:
        message = f"{host} cannot be resolved: {error}"
        raise httpx.ConnectError(message) from error


@functools.cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
