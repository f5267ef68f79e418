"""Builders of small worlds; each is one fixture, so that a test names only what it is about."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, NodeId
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.plan import Plan
from smartnode.domain.quota import Room
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.planning.plan import make_plan
from smartnode.planning.policy import Candidate, Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODE = NodeId(NODE_ID_PREFIX + b"abcdefghijkl")
GB = 10**9


class World:
    """Everything a plan is made of, by short names; torrents are numbered."""

    now = NOW
    node = NODE

    def info_hash(self, number: int) -> InfoHash:
        """Return the info-hash of torrent *number*."""
        return InfoHash(f"{number:040x}")

    def candidate(self, number: int, size: int = 3200, piece: int | None = 10, **item: Any) -> Candidate:
        """Return an item with a torrent of 32 segments of ten pieces, unless told otherwise."""
        info_hash, key = self.info_hash(number), ItemKey(collection="c", id=item.pop("id", f"item{number:03}"))
        torrent = Torrent(
            info_hash=info_hash,
            info_hash_v1=info_hash,
            info_hash_v2=None,
            size=Bytes(size),
            piece_length=None if piece is None else Bytes(piece),
            name=None,
            metainfo_url=None,
        )
        return Candidate(item=Item(key=key, torrent=torrent, **item), layout=torrent.layout)

    def holder(self, number: int, pieces: Bitfield, **changed: Any) -> Holder:
        """Return a foreign holder in contact now."""
        values: dict[str, Any] = {
            "address": Address(host=f"10.0.{number // 250}.{number % 250}", port=6881),
            "peer_id": b"-XX0001-" + number.to_bytes(12, "big"),
            "client": None,
            "smartnode": False,
            "first_seen": NOW - timedelta(days=9),
            "last_contact": NOW,
            "progressed_at": None,
            "witness": Witness.WIRE_PROBE,
        }
        return Holder(pieces=pieces, **(values | changed))

    def view(self, number: int, *holders: Holder, age: timedelta | None = timedelta(0), **more: Any) -> SwarmView:
        """Return a view of torrent *number*, looked at *age* ago."""
        looked_at = None if age is None else NOW - age
        witness = Witness.WIRE_PROBE
        return SwarmView(
            info_hash=self.info_hash(number), looked_at=looked_at, witness=witness, holders=holders, **more
        )

    def seeds(self, number: int, layout: Layout, copies: int, **more: Any) -> SwarmView:
        """Return a fresh view of torrent *number* with *copies* full seeds."""
        full = Bitfield.full(layout.num_pieces)
        return self.view(number, *(self.holder(100 * number + each, full) for each in range(copies)), **more)

    def holding(self, number: int, layout: Layout, have: Bitfield, wanted: Bitfield | None = None) -> Holding:
        """Return what this node has of torrent *number*."""
        return Holding(
            info_hash=self.info_hash(number), layout=layout, have=have, wanted=have if wanted is None else wanted | have
        )

    def room(self, quota: int, holdings: Mapping[InfoHash, Holding] | None = None, **changed: int) -> Room:
        """Return a room whose quota less its reserve is *quota*; what *holdings* hold and promise is counted."""
        kept = holdings or {}
        low = max(0, quota * 20 // 19 - 2)
        gross = next(each for each in range(low, low + 99) if each - each // 20 >= quota)
        values: dict[str, int] = {
            "quota": gross,
            "allocated": sum(each.held_bytes for each in kept.values()),
            "overhead": 0,
            "in_flight": sum(each.in_flight_bytes for each in kept.values()),
            "disk_free": 1000 * GB,
            "keep_free": 0,
        }
        return Room(**{name: Bytes(value) for name, value in (values | changed).items()})

    def plan(self, candidates: list[Candidate], room: Room, **given: Any) -> Plan:
        """Make a plan; nothing is seen and nothing is held unless *given*."""
        values: dict[str, Any] = {"views": {}, "holdings": {}, "policy": Policy(), "node_id": NODE, "now": NOW}
        return make_plan(candidates, room=room, **({"growth": Bytes(0)} | values | given))


@pytest.fixture(scope="session")
def world() -> World:
    """Builders of small worlds."""
    return World()


@pytest.fixture(scope="session")
def keyed() -> Callable[..., dict[InfoHash, Any]]:
    """Return a function that keys views or holdings by info-hash."""
    return lambda *values: {value.info_hash: value for value in values}
