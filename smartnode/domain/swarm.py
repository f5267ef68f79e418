"""What was seen of a swarm: every fact names its witness and its time; None is "not seen", an empty tuple is "seen to
be none".
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.tracker import Scrape


class Witness(StrEnum):
    """Who saw the fact."""

    WIRE_PROBE = "wire_probe"
    PEER_INFO = "peer_info"
    DHT = "dht"
    TRACKER = "tracker"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """Where a peer listens, or where it connected from; *host* is a numeric IPv4 or IPv6 address."""

    host: str
    port: int

    @property
    def network(self) -> str:
        """The /24 (IPv4) or /48 (IPv6) that the address is in: what one operator usually owns."""
        host = ip_address(self.host.partition("%")[0])
        return str(ip_network((host, 24 if host.version == 4 else 48), strict=False))  # noqa: PLR2004 -- IP versions

    def __str__(self) -> str:
        """``host:port``, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Another peer and the pieces it was last seen with.

    *peer_id* is what the handshake said (20 bytes). *client* is BEP 10 ``v``, untrusted text, at most 128 characters.
    *smartnode*: ``v`` names our network id and protocol version. *progressed_at*: when its piece count was last seen
    to grow. *last_contact* <= now; *pieces* is a lower bound (lazy bitfields). *upload_only*: it says that it wants
    nothing more (BEP 21). *rate*: pieces per second that it gained between its last two sightings, None: seen once.
    """

    address: Address
    peer_id: bytes
    client: str | None
    smartnode: bool
    pieces: Bitfield
    first_seen: datetime
    last_contact: datetime
    progressed_at: datetime | None
    witness: Witness
    upload_only: bool = False
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmView:
    """What this node knows of one swarm. *looked_at*: when it last looked AND learned something (a peer answered, or
    a lookup said that there is none); None: never, so nothing is known. *mirrors*: live web seeds of this version,
    None: not probed; *regions*: where each of them is as the catalogue states it, None: not stated. *scrape*: what
    trackers count, None: never asked.
    """

    info_hash: InfoHash
    looked_at: datetime | None
    witness: Witness | None
    holders: tuple[Holder, ...] = ()
    mirrors: int | None = None
    regions: tuple[str | None, ...] = ()
    scrape: Scrape | None = None
