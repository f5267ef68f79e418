"""What the cycle needs of other rooms, in its own words; the daemon passes the real rooms and mypy proves the fit
there.

All coroutines run on the one asyncio loop. A room raises its own SmartnodeError subclass and nothing else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smartnode.domain.catalogue import Item, Snapshot
from smartnode.domain.decision import Decision
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.mirror import Mirror
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.proof import Block, Challenge, Lie, Outcome
from smartnode.domain.quota import Room
from smartnode.domain.swarm import Address, Holder, SwarmView
from smartnode.domain.tenure import Tenure
from smartnode.domain.tracker import Scrape
from smartnode.domain.wishes import Wish
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

    async def evict(self, info_hash: InfoHash, pieces: Bitfield, *, before: float | None = None) -> Bytes:
        """Let go of *pieces* durably and give their blocks back; returns the bytes of the pieces that were held.
        *before*: a time.monotonic() until which that is permitted; EngineError once it is past, and all of them stay.
        """
        ...

    async def read(self, info_hash: InfoHash, blocks: Sequence[Block]) -> list[bytes]:
        """Return the bytes of each of *blocks*, in order, as our files have them; EngineError when one of their pieces
        is not held, or no longer in its file. The session does not notice.
        """
        ...

    async def connected(self, info_hash: InfoHash, now: datetime) -> tuple[Holder, ...]:
        """Return the connected peers of a held torrent with their bitfields (peer_info); web seeds are not peers."""
        ...

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Ask the DHT (BEP 5) for peers; None when the DHT is off or did not answer in time: unknown, not none."""
        ...

    def is_private(self, info_hash: InfoHash) -> bool:
        """Say whether a held torrent is private (BEP 27): only its own trackers may be asked about it."""
        ...

    def use_web_seeds(self, info_hash: InfoHash, urls: Collection[str]) -> None:
        """Use exactly these web seeds (BEP 19) for a held torrent; one that was given up and is named again is used
        again.
        """
        ...

    def use_trackers(self, item: Item) -> None:
        """Announce a held torrent to its own trackers and to those that the catalogue names now."""
        ...

    def tracker_answers(self, url: str) -> None:
        """Take note that a tracker answers: what waits for it announces again, paced."""
        ...

    async def introduce(self, info_hash: InfoHash, addresses: Iterable[Address]) -> None:
        """Tell a held torrent of peers that were seen elsewhere."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One swarm to look at: its cut, its trackers, what was known, and who is connected to us right now. *private*
    (BEP 27): only its trackers may be asked.
    """

    info_hash: InfoHash
    num_pieces: int
    size: Bytes
    known: SwarmView | None
    trackers: tuple[str, ...] = ()
    connected: tuple[Holder, ...] = ()
    private: bool = False
    busy: frozenset[Address] = frozenset()


class SwarmRoom(Protocol):
    """Eyes on swarms."""

    async def look(self, looks: Sequence[Look], now: datetime) -> tuple[SwarmView, ...]:
        """Look at each swarm within the budgets; one view per look, in order; what was not learned stays as it was
        known.
        """
        ...

    async def prove(self, address: Address, challenge: Challenge) -> Outcome:
        """Let the holder at *address* prove itself, within two minutes once it is its turn; who lied in the last day is
        LIAR unasked. Whatever the network does is an outcome, never an error.
        """
        ...

    def know(self, lies: Iterable[Lie]) -> None:
        """Take up who lied before."""
        ...

    def lies(self, now: datetime) -> Sequence[Lie]:
        """Return who lied in the last day."""
        ...


class TrackersRoom(Protocol):
    """Trackers, asked for counts."""

    async def scrape(self, wanted: Mapping[str, Sequence[InfoHash]], now: datetime) -> dict[InfoHash, Scrape]:
        """Return what trackers count of the swarms that they are asked about (announce address to info-hashes, the
        most wanted first), within the budgets; a swarm that none of them listed is left out.
        """
        ...

    def answered(self, url: str) -> bool:
        """Say whether the tracker answered the last time that it was asked."""
        ...


class SourcesRoom(Protocol):
    """Web seeds, looked at before anybody relies on them."""

    def know(self, mirrors: Iterable[Mirror]) -> None:
        """Take up what was known of them before."""
        ...

    def expect(self, item: Item, metainfo: Metainfo) -> None:
        """From now on look after the web seeds of this torrent."""
        ...

    def expects(self, item: Item) -> bool:
        """Say whether they are looked after as *item* names them now."""
        ...

    async def tend(self, now: datetime, *, wanted: Collection[InfoHash]) -> Collection[InfoHash]:
        """Look at what is due, within the budgets, web seeds of *wanted* torrents first; returns the torrents whose
        usable web seeds changed, or work again.
        """
        ...

    def live(self, info_hash: InfoHash) -> tuple[str, ...]:
        """Return the addresses that the engine may use for a torrent."""
        ...

    def count(self, info_hash: InfoHash) -> int | None:
        """Return how many live mirrors a torrent has; None when none was ever looked at."""
        ...

    def regions(self, info_hash: InfoHash) -> tuple[str | None, ...]:
        """Return where each live mirror of a torrent is, None: not said."""
        ...

    def changed(self) -> Sequence[Mirror]:
        """Return what changed since the last call."""
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

    async def scrapes(self) -> dict[InfoHash, Scrape]:
        """Return what trackers counted last of every swarm."""
        ...

    async def remember_scrapes(self, scrapes: Mapping[InfoHash, Scrape]) -> None:
        """Store counts durably, replacing older ones of the same swarm."""
        ...

    async def mirrors(self) -> Sequence[Mirror]:
        """Return what is known of every web seed."""
        ...

    async def remember_mirrors(self, mirrors: Sequence[Mirror]) -> None:
        """Store web seeds durably, replacing what was known of them."""
        ...

    async def tenures(self) -> Sequence[Tenure]:
        """Return since when smartnodes have been seen with what."""
        ...

    async def remember_tenures(self, seen: Mapping[InfoHash, Sequence[Tenure]]) -> None:
        """Store durably who was seen with what since when, replacing all that was known of the same swarms."""
        ...

    async def lies(self) -> Sequence[Lie]:
        """Return who lied."""
        ...

    async def remember_lies(self, lies: Sequence[Lie]) -> None:
        """Store who lied durably, in place of what was stored before."""
        ...

    async def wishes(self) -> Sequence[Wish]:
        """Return every word of the volunteer, also those that another process has just said."""
        ...

    async def close_cycle(self, decisions: Sequence[Decision]) -> None:
        """Store the decisions of a closed cycle durably and forget the oldest beyond the bound."""
        ...


class ClockRoom(Protocol):
    """The clock of this host, which everybody's epochs depend on."""

    def doubt(self, now: datetime) -> str | None:
        """Return why the clock cannot be trusted, in one clause; None when it can."""
        ...
