"""What the session reports, as frozen values: libtorrent's alerts die with the next pop_alerts, events do not."""

from dataclasses import dataclass
from enum import StrEnum

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A socket listens at *address*; *tcp*: for TCP, else for uTP."""

    address: Address
    tcp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenFailed:
    """An address of the settings cannot be listened on; *tcp*: for TCP, else for uTP."""

    text: str
    tcp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Resume data as libtorrent's bencoded dictionary."""

    info_hash: InfoHash
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed:
    """The torrent could not give its resume data, or had nothing new to give."""

    info_hash: InfoHash
    text: str
    unchanged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The torrent is out of the session, its files closed."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The files of a removed torrent are gone; *error* when one could not be deleted."""

    info_hash: InfoHash
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The files lie in the new folder; *error* when they could not be moved and stayed."""

    info_hash: InfoHash
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every wanted piece is held."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A file or the torrent failed; *lost*: what was held cannot be read, so it must be looked at again."""

    info_hash: InfoHash
    text: str
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One torrent's state; *stuck*: libtorrent stopped writing (upload mode) or paused it on an error."""

    info_hash: InfoHash
    have: Bitfield
    peers: int
    uploaded: int
    downloaded: int
    stuck: bool
    checking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The torrents that changed since the last such event."""

    changed: tuple[Progress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """libtorrent gave a web seed up; *banned*: it sent a wrong byte. *url* may be where a redirect led."""

    info_hash: InfoHash
    url: str
    text: str
    banned: bool


class Closing(StrEnum):
    """How a connection that we opened ended; libtorrent opens one to a web seed again by itself."""

    REDIRECTED = "redirected"
    REFUSED = "refused"  # it could not be made
    NONSENSE = "nonsense"  # no usable answer: no range, no HTTP
    CUT = "cut"  # closed by the other side, reset, or silent for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A connection of a torrent ended; nothing tells a web seed's from a peer's but the *address*."""

    info_hash: InfoHash
    address: Address
    how: Closing
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerAsked:
    """An announce goes out, one for each local address and each version of the info-hash."""

    info_hash: InfoHash
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerAnswered:
    """A tracker took an announce."""

    info_hash: InfoHash
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerFailed:
    """An announce failed; *refused*: the tracker answered and does not want this torrent."""

    info_hash: InfoHash
    url: str
    text: str
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersFound:
    """One answer of the DHT to a lookup."""

    info_hash: InfoHash
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtSize:
    """Nodes in the DHT's routing table."""

    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtWork:
    """Lookups for peers that the DHT is working on, ours and those of its own announces; *nodes* in its table."""

    lookups: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsLost:
    """The alert queue overflowed: something was not heard."""


Event = (
    Listening
    | ListenFailed
    | Saved
    | SaveFailed
    | Removed
    | Deleted
    | Moved
    | Finished
    | Failed
    | States
    | GivenUp
    | Closed
    | TrackerAsked
    | TrackerAnswered
    | TrackerFailed
    | PeersFound
    | DhtSize
    | DhtWork
    | AlertsLost
)
