"""What the cycle needs of other rooms, in its own words; the daemon passes the real rooms and mypy proves the fit
there.

All coroutines run on the one asyncio loop. A room raises its own SmartnodeError subclass and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.decision import Decision
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.quota import Room
from smartnode.domain.swarm import Address, Holder, SwarmView
from smartnode.metainfo.read import Metainfo


class CatalogueRoom(Protocol):
    """The catalogue in use and the .torrent files that it names."""

    def current(self) -> Snapshot | None:
        """Return the last accepted snapshot, None when there never was one."""
        ...

    def degraded(self) -> tuple[str, ...]:
        """Return why the last refresh was not taken, each line starting with ``catalogue: ``; empty when it was."""
        ...

    async def metainfo(self, item: Item) -> Metainfo:
        """Return the checked .torrent of *item*, from the cache or its address; MetainfoError when it cannot be
        had.
        """
        ...


class EngineRoom(Protocol):
    """The torrents that this node holds."""

    def holdings(self) -> Mapping[InfoHash, Holding]:
        """Return what is held and wanted now, one entry per torrent; a fresh mapping of frozen values."""
        ...

    async def want(self, item: Item, metainfo: Metainfo, wanted: Bitfield) -> None:
        """Add the torrent with *wanted* as its target, or make it the target when it is there already."""
        ...

    async def remap(self, info_hash: InfoHash, wanted: Bitfield) -> None:
        """Make *wanted* the target of a torrent that the engine already has; pieces held stay held."""
        ...

    async def adopt(self, item: Item, metainfo: Metainfo) -> None:
        """Take up a torrent whose files lie in its place already; what has the right hash is held, nothing is
        fetched.
        """
        ...

    def stand_still(self, *, still: bool) -> None:
        """Stop all traffic and writing while the disk is not there, or go on; held pieces stay held."""
        ...

    async def evict(self, info_hash: InfoHash, pieces: Bitfield) -> Bytes:
        """Let go of *pieces* durably and give their blocks back; returns the bytes of the pieces that were held."""
        ...

    async def connected(self, info_hash: InfoHash, now: datetime) -> tuple[Holder, ...]:
        """Return the connected peers of a held torrent with their bitfields (peer_info); web seeds are not peers."""
        ...

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Ask the DHT (BEP 5) for peers; None when the DHT is off or did not answer in time: unknown, not none."""
        ...

    async def introduce(self, info_hash: InfoHash, addresses: Iterable[Address]) -> None:
        """Tell a held torrent of peers that were seen elsewhere."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One swarm to look at: its cut, what was known, and who is connected to us right now."""

    info_hash: InfoHash
    num_pieces: int
    known: SwarmView | None
    connected: tuple[Holder, ...] = ()


class SwarmRoom(Protocol):
    """Eyes on swarms."""

    async def look(self, looks: Sequence[Look], now: datetime) -> tuple[SwarmView, ...]:
        """Look at each swarm within the budgets; one view per look, in order; what was not learned stays as it was
        known.
        """
        ...


class DiskRoom(Protocol):
    """The room on the disk."""

    async def measure(self, in_flight: Bytes) -> Room:
        """Measure all allocated blocks of this node and the file system's free room; DiskError when the root is not
        there.
        """
        ...

    async def glance(self, in_flight: Bytes) -> Room:
        """Return the free room of now with the blocks of the last measurement; cheap, as often as one likes."""
        ...

    async def holds_data(self, item_key: ItemKey, info_hash: InfoHash) -> bool:
        """Say whether files of the item lie in one of its places."""
        ...


class LedgerRoom(Protocol):
    """What outlives a cycle."""

    async def views(self) -> dict[InfoHash, SwarmView]:
        """Return the last view of every swarm."""
        ...

    async def remember(self, views: Sequence[SwarmView]) -> None:
        """Store views durably, replacing older ones of the same swarm."""
        ...

    async def close_cycle(self, decisions: Sequence[Decision]) -> None:
        """Store the decisions of a closed cycle durably and forget the oldest beyond the bound."""
        ...
