"""One conversation with one tracker, over UDP or HTTP alike: what it may cost, and where its name leads.

Laws: a name is resolved once per conversation and the address that was checked is the one that is used; every datagram
and every HTTP request is counted against the allowance before it is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from smartnode.domain.identity import InfoHash
from smartnode.domain.network import Proxy
from smartnode.errors import SwarmError
from smartnode.swarm.answers import Announced, Counts
from smartnode.web.address import is_public
from smartnode.web.transport import resolve

BATCH = 70
"""Torrents per scrape: BEP 15 allows about 74, but 70 are the most that no path of 1,492 bytes cuts in two (IPv6)."""
WAITS_S = (3.0, 5.0, 7.0)
REST_MAX_S = 1800.0
ADDRESSES_TRIED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerManners:
    """How this node speaks to trackers.

    *local_host*: the address that UDP goes out from, None = any. *agent*: what HTTP trackers are told. *udp_packets*,
    *http_requests*: the most that one scrape of one tracker may send. *at_once*: trackers asked at the same time.
    *request_s*, *waits_s*: how long a request by HTTP, and each try by UDP,
    waits for its answer; *lookup_s* bounds a whole look-up.
    """

    allow_private: bool
    proxy: Proxy | None = None
    local_host: str | None = None
    agent: str = "smartnode"
    udp_packets: int = 200
    http_requests: int = 150
    at_once: int = 8
    deadline_s: float = 60.0
    lookup_s: float = 20.0
    lookups_per_s: float = 10.0
    request_s: float = 15.0
    waits_s: tuple[float, ...] = WAITS_S
    rest_max_s: float = REST_MAX_S


@dataclass(slots=True)
class Allowance:
    """What may still be sent."""

    left: int

    def spend(self) -> bool:
        """Take one; False when nothing is left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


class TrackerLine(Protocol):
    """One tracker that can be asked now."""

    async def scrape(self, hashes: Sequence[InfoHash]) -> Mapping[InfoHash, Counts | None]:
        """Return what it counts, None for a torrent that it does not know; absent: it did not say. SwarmError,
        TrackerRefusal.
        """
        ...

    async def announce(self, info_hash: InfoHash, *, left: int) -> Announced:
        """Ask for peers under a fresh random id, and take the listing back before returning; SwarmError,
        TrackerRefusal.
        """
        ...


async def addresses_of(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return at most two numeric addresses of *host*, one per family first; SwarmError when one is not public."""
    try:
        found = await resolve(host, port)
    except httpx.ConnectError as error:
        raise SwarmError(str(error)) from error
    if not allow_private and not all(map(is_public, found)):
        message = "the tracker's name leads to an address that is not public"
        raise SwarmError(message)
    first = [next((a for a in found if (":" in a) == ipv6), None) for ipv6 in (":" in found[0], ":" not in found[0])]
    return list(dict.fromkeys([a for a in first if a is not None] + found))[:ADDRESSES_TRIED]
