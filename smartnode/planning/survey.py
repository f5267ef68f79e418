"""A survey lays every segment of every torrent side by side, in one fixed order: by info-hash, then by number.

The order of items, views, holders and holdings therefore never reaches a decision.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import SegmentRef
from smartnode.domain.swarm import SwarmView
from smartnode.domain.wishes import Word
from smartnode.planning.absence import away
from smartnode.planning.demand import WORTH, Demand, demand
from smartnode.planning.field import Field, lay_out
from smartnode.planning.health import Health, distinct, observe
from smartnode.planning.place import HERE
from smartnode.planning.policy import Policy
from smartnode.planning.ranks import fetch_ranks
from smartnode.planning.roster import Placed
from smartnode.planning.segments import Cut

_Scalar = TypeVar("_Scalar", bound=np.generic)

PRIORITY_LIMIT: Final = 8
"""torrent:priority is clamped to -8..8: 256 times the value is worth 4.6 copies."""

TARGET_LIMIT: Final = 100
"""torrent:target_replicas is clamped to 0..100, so that one row cannot push all others out of the level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surveyed:
    """One torrent with its cut and what is seen of it; *first* is the index of its first segment in the survey. *bare*:
    the place of this node that no live mirror is in, None: there is none, or none known.
    """

    placed: Placed
    view: SwarmView | None
    cut: Cut
    health: Health
    demand: Demand
    bare: str | None
    first: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey(Field):
    """The field of real torrents: *owner* indexes *torrents*, one entry per segment."""

    torrents: tuple[Surveyed, ...]
    owner: NDArray[np.int64]

    def ref(self, index: int, size: int) -> SegmentRef:
        """Name a segment, with the *size* bytes that a decision moves."""
        torrent = self.torrents[int(self.owner[index])]
        number = index - torrent.first
        return SegmentRef(
            info_hash=torrent.placed.info_hash, number=number, pieces=torrent.cut.pieces(number), bytes=Bytes(size)
        )


def survey(
    roster: Sequence[Placed], views: Mapping[InfoHash, SwarmView], *, policy: Policy, node: NodeId, now: datetime
) -> Survey:
    """Lay out *roster* (ascending by info-hash)."""
    torrents: list[Surveyed] = []
    own: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    first = 0
    patience = policy.patience(away(views.values(), node=node, policy=policy, now=now))
    for placed in roster:
        cut, view = Cut.of(placed.layout), views.get(placed.info_hash)
        holders = [] if view is None else distinct(view.holders, node)
        health = observe(view, holders, cut, policy=policy, patience=patience, now=now)
        readers = demand(view, holders, placed.holding, policy=policy, now=now)
        bare = policy.place.without(health.mirrors, () if view is None else view.regions)
        torrents.append(
            Surveyed(placed=placed, view=view, cut=cut, health=health, demand=readers, bare=bare, first=first)
        )
        own.append(_own(placed, cut))
        first += cut.count
    counts = [each.cut.count for each in torrents]
    credit = np.array([credit_of(each.health.mirrors, policy) for each in torrents], dtype=np.float64)
    field = lay_out(
        size=_joined([each.cut.sizes() for each in torrents], np.int64),
        cost=_joined([cost for cost, _ in own], np.int64),
        held=_joined([held for _, held in own], np.int64),
        copies=_joined([each.health.copies for each in torrents], np.int64),
        coming=_joined([each.health.coming for each in torrents], np.int64),
        known=np.repeat(np.array([each.health.known for each in torrents], dtype=np.bool_), counts),
        offered=np.repeat(np.array([each.placed.item is not None for each in torrents], dtype=np.bool_), counts),
        merit=np.repeat(_merit(torrents, policy), counts),
        credit=np.repeat(credit, counts),
        pinned=np.repeat(np.array([each.placed.word is Word.PINNED for each in torrents], dtype=np.bool_), counts),
        excluded=np.repeat(np.array([each.placed.word is Word.EXCLUDED for each in torrents], dtype=np.bool_), counts),
        g=_joined([fetch_ranks(node, each.placed.info_hash, each.cut.count) for each in torrents], np.float64),
    )
    columns = {column.name: getattr(field, column.name) for column in fields(Field)}
    return Survey(
        torrents=tuple(torrents), owner=np.repeat(np.arange(len(torrents), dtype=np.int64), counts), **columns
    )


def credit_of(mirrors: int | None, policy: Policy) -> float:
    """Copies that *mirrors* live web seeds are worth beside the first copy; all of them together at most one."""
    return min(policy.kappa * (mirrors or 0), 1.0)


def _own(placed: Placed, cut: Cut) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes per segment that are neither held nor promised, and bytes held."""
    if placed.holding is None:
        return cut.sizes(), np.zeros(cut.count, dtype=np.int64)
    have = placed.holding.have.to_array()
    promised = placed.holding.wanted.to_array() | have
    return cut.bytes_in(~promised), cut.bytes_in(have)


def _merit(torrents: Sequence[Surveyed], policy: Policy) -> NDArray[np.float64]:
    """Per torrent: what value and target take from u; the mean target is by bytes, so that shifts cancel out."""
    items = [each.placed.item for each in torrents]
    targets = [None if item is None else _target(item) for item in items]
    stated = [(target, each.placed.layout.total_size) for target, each in zip(targets, torrents, strict=True) if target]
    weight = sum(size for _, size in stated)
    mean = sum(target * size for target, size in stated) / weight if weight else 0.0
    worth = [
        (0 if item is None else max(-PRIORITY_LIMIT, min(PRIORITY_LIMIT, item.priority))) * math.log(2)
        + (math.log(WORTH) if each.demand.is_there else 0.0)
        + (math.log(HERE) if each.bare is not None else 0.0)
        for item, each in zip(items, torrents, strict=True)
    ]
    shift = [mean - target if target else 0.0 for target in targets]
    return np.array(shift, dtype=np.float64) - np.array(worth, dtype=np.float64) / policy.lambda_


def _target(item: Item) -> int | None:
    """torrent:target_replicas within its bounds; below 1 it says nothing."""
    if item.target_replicas is None or item.target_replicas < 1:
        return None
    return min(item.target_replicas, TARGET_LIMIT)


def _joined(columns: Sequence[NDArray[_Scalar]], kind: type[_Scalar]) -> NDArray[_Scalar]:
    return np.concatenate([np.zeros(0, dtype=kind), *columns])
