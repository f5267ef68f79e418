"""The way to a peer: straight from this node's address, or through the proxy and nothing beside it."""

import asyncio

from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy as Gateway

from smartnode.domain.network import Proxy
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError


async def open_way(
    address: Address, *, local_host: str | None, proxy: Proxy | None, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to *address* within the caller's deadline; OSError or SwarmError when nobody answers there.

    *limit* bounds what is buffered. With a *proxy* the proxy connects, and *local_host* is where we reach it from.
    """
    local = None if local_host is None else (local_host, 0)
    if proxy is None:
        return await asyncio.open_connection(address.host, address.port, local_addr=local, limit=limit)
    try:
        way = await Gateway.from_url(proxy.url).connect(address.host, address.port, local_addr=local)
    except ProxyError as error:
        message = f"the proxy does not reach the peer: {error}"
        raise SwarmError(message) from error
    try:
        return await asyncio.open_connection(sock=way, limit=limit)
    except BaseException:
        way.close()
        raise
