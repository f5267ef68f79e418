"""What the node says of itself: published whole, once per cycle, as one reference swap; readers never see a half-made
one.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from smartnode.domain.catalogue import Item
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.mirror import Mirror
from smartnode.domain.plan import Plan
from smartnode.domain.quota import Room
from smartnode.domain.swarm import SwarmView
from smartnode.domain.tracker import TrackerHealth
from smartnode.domain.wishes import Wish


class State(StrEnum):
    """What the node is doing."""

    STARTING = "starting"
    FETCHING = "fetching"
    STEADY = "steady"
    OVER_QUOTA = "over_quota"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueStatus:
    """The snapshot in use; None in *seq* when unsigned, in *accepted_at* when there is none yet."""

    seq: int | None
    items: int
    with_torrent: int
    verified: bool
    accepted_at: datetime | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldItem:
    """One held torrent as readers see it: the item it serves (None: no longer in the catalogue), holding and view."""

    item: Item | None
    holding: Holding
    view: SwarmView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The whole node at *at*; *cycle* counts closed cycles since the start. *mirrors*: every web seed that was looked
    at, by torrent; *trackers*: those that the node announces to or asks. *proxy*: what all traffic goes through, its
    credentials left out; behind one nothing listens and *listen_port* is 0. *wishes*: every word of the volunteer.
    """

    at: datetime
    cycle: int
    state: State
    version: str
    name: str
    network_id: str
    node_id: NodeId
    listen_port: int
    degraded: tuple[str, ...]
    room: Room | None
    catalogue: CatalogueStatus
    plan: Plan | None
    items: tuple[Item, ...]
    held: dict[InfoHash, HeldItem]
    views: dict[InfoHash, SwarmView]
    mirrors: dict[InfoHash, tuple[Mirror, ...]] = field(default_factory=dict)
    trackers: tuple[TrackerHealth, ...] = ()
    proxy: str | None = None
    wishes: tuple[Wish, ...] = ()
