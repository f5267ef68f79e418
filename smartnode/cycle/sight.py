"""What the cycle sees: swarms, what trackers count of them, the mirrors; each look is remembered before anything rests
on it.

Planning is told one view per torrent with all three in it. A count of a tracker or a live mirror without a look leaves
``looked_at`` None: it is no view of the swarm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from smartnode.cycle.looking import choose, probe_budget
from smartnode.cycle.needs import EngineRoom, LedgerRoom, Look, SourcesRoom, SwarmRoom
from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Layout
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.domain.tracker import Scrape
from smartnode.errors import LedgerError

DIALLING = timedelta(minutes=1)
"""How long an address that the engine was told of is left to the engine."""

PEERS = 20
"""Peers of one whole holding that the engine is told of at once: smartnodes to be seen by, leechers to be served."""

CONNECTIONS = 200
"""Half of what the engine allows: beyond it nobody is dialled only to be seen."""


class Sight:
    """The views, a copy of the ledger's; *scrapes* is the mapping that the counting keeps up to date."""

    def __init__(
        self,
        *,
        engine: EngineRoom,
        swarm: SwarmRoom,
        sources: SourcesRoom,
        ledger: LedgerRoom,
        scrapes: Mapping[InfoHash, Scrape],
    ) -> None:
        """Look through *swarm*, at what *engine* is connected to; remember in *ledger*."""
        self._engine = engine
        self._swarm = swarm
        self._sources = sources
        self._ledger = ledger
        self._scrapes = scrapes
        self._views: dict[InfoHash, SwarmView] = {}
        self._dialled: dict[InfoHash, tuple[datetime, frozenset[Address]]] = {}

    async def start(self) -> None:
        """Take up the views that the ledger kept."""
        self._views = await self._ledger.views()

    def stalest(
        self, layouts: Mapping[InfoHash, Layout], *, probes: int | None, node: NodeId, now: datetime
    ) -> list[InfoHash]:
        """Return the swarms whose turn it is at *node*."""
        budget = probe_budget(len(layouts), probes)
        return choose(layouts, views=self._views, scrapes=self._scrapes, count=budget, node=node, now=now)

    def views(self, hashes: Iterable[InfoHash]) -> dict[InfoHash, SwarmView]:
        """Return what is known of each of *hashes*, counts and mirrors included; nothing for those never heard of."""
        found = ((h, self._seen(h)) for h in hashes)
        return {info_hash: view for info_hash, view in found if view is not None}

    def all_views(self) -> dict[InfoHash, SwarmView]:
        """Return what is known of every swarm that was ever looked at or counted."""
        return self.views(self._views.keys() | self._scrapes.keys())

    async def look(
        self,
        hashes: Sequence[InfoHash],
        *,
        layouts: Mapping[InfoHash, Layout],
        items: Mapping[InfoHash, Item],
        now: datetime,
    ) -> list[str]:
        """Look at swarms, remember what was seen, and tell the engine whom it may ask for what is missing; returns
        what went wrong.
        """
        if not hashes:
            return []
        held = self._engine.holdings()
        looks = [await self._look(h, layouts[h], items.get(h), now=now, held=h in held) for h in hashes if h in layouts]
        views = await self._swarm.look(looks, now)
        self._views.update({v.info_hash: v for v in views})
        await self.introduce(hashes, now)
        try:
            await self._ledger.remember(views)
        except LedgerError as error:
            return [f"ledger: {error}"]
        return []

    async def introduce(self, hashes: Iterable[InfoHash], now: datetime) -> None:
        """Tell the engine of the peers of held torrents that answered just now: whom it may ask for what is missing,
        who lacks what is held, and other smartnodes, so that those behind NAT are seen by what they open.
        """
        held = self._engine.holdings()
        room = CONNECTIONS - sum(holding.peers for holding in held.values())
        for info_hash in hashes:
            view, holding = self._views.get(info_hash), held.get(info_hash)
            if view is None or holding is None:
                continue
            answered = [h for h in view.holders if h.last_contact == now and h.witness is Witness.WIRE_PROBE]
            if not holding.missing.count():
                answered = [h for h in answered if h.smartnode or _wants(h)][: max(0, min(room, PEERS))]
            room -= len(answered)
            addresses = [h.address for h in answered]
            await self._engine.introduce(info_hash, addresses)
            self._dialled[info_hash] = (now, frozenset(addresses))

    async def _look(self, info_hash: InfoHash, layout: Layout, item: Item | None, *, now: datetime, held: bool) -> Look:
        return Look(
            info_hash=info_hash,
            num_pieces=layout.num_pieces,
            size=layout.total_size,
            # Also for what the engine announces itself: it hears of newcomers only with its next announce, and a node
            # behind NAT is seen by nobody whom it does not dial.
            trackers=item.torrent.trackers if item is not None and item.torrent is not None else (),
            known=self._views.get(info_hash),
            connected=await self._engine.connected(info_hash, now) if held else (),
            private=self._engine.is_private(info_hash),
            busy=self._busy(info_hash, now),
        )

    def _busy(self, info_hash: InfoHash, now: datetime) -> frozenset[Address]:
        at, addresses = self._dialled.get(info_hash, (now, frozenset()))
        if now - at < DIALLING:
            return addresses
        del self._dialled[info_hash]
        return frozenset()

    def _seen(self, info_hash: InfoHash) -> SwarmView | None:
        view, scrape = self._views.get(info_hash), self._scrapes.get(info_hash)
        mirrors = self._sources.count(info_hash)
        if view is None:
            if scrape is None and mirrors is None:
                return None
            view = SwarmView(info_hash=info_hash, looked_at=None, witness=None)
        return replace(view, scrape=scrape, mirrors=mirrors, regions=self._sources.regions(info_hash))


def _wants(holder: Holder) -> bool:
    """Say whether a foreign peer still misses pieces and wants them."""
    return not holder.upload_only and holder.pieces.count() < holder.pieces.length
