"""A survey lays every segment of every torrent side by side, in one fixed order: by info-hash, then by number.

The order of items, views, holders and holdings therefore never reaches a decision. All arrays have one entry per
segment; the laws of the coverage u are those of the placement rule:
u = copies + own + [copies + own >= 1] * credit - ln(v) / lambda + (mean target - its target).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from smartnode.planning.demand import WORTH, Demand, demand
from smartnode.planning.health import Health, observe
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
    """One torrent with its cut and what is seen of it; *first* is the index of its first segment in the survey."""

    placed: Placed
    view: SwarmView | None
    cut: Cut
    health: Health
    demand: Demand
    first: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """All segments. *owner* indexes *torrents*.

    *size*: bytes. *cost*: bytes neither held nor promised. *held*: bytes held. *offered*: may be fetched.
    *pinned*, *excluded*: by the volunteer.
    *copies*: remembered elsewhere; *coming*: 1 while in progress elsewhere. *base*: u of the first copy less one.
    *seen*: copies elsewhere as fetching believes them, 0 where not *known*; *coverage*: u with them. *g*: fetch rank.
    """

    torrents: tuple[Surveyed, ...]
    owner: NDArray[np.int64]
    size: NDArray[np.int64]
    cost: NDArray[np.int64]
    held: NDArray[np.int64]
    copies: NDArray[np.int64]
    coming: NDArray[np.int64]
    known: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    base: NDArray[np.float64]
    seen: NDArray[np.int64]
    coverage: NDArray[np.float64]
    g: NDArray[np.float64]

    @property
    def worth_less(self) -> NDArray[np.int64]:
        """All segments, the least valuable to hold first.

        What is excluded before all else, what is pinned after it. Known to be well covered before unknown, unfinished
        before whole, then the lowest rank. What is in progress elsewhere is no copy yet, so it does not count here.
        """
        keys = (self.g, self.cost == 0, -(self.base + self.copies), ~self.known, ~self.excluded, self.pinned)
        return np.lexsort(keys)

    @property
    def capacity(self) -> Bytes:
        """C^: bytes of all copies in sight, one's own included, also where the last look is old."""
        mine = self.offered
        elsewhere = int((self.size * (self.copies + self.coming))[mine].sum())
        return Bytes(elsewhere + int((self.size - self.cost)[mine].sum()))

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
    for placed in roster:
        cut, view = Cut.of(placed.layout), views.get(placed.info_hash)
        health = observe(view, cut, policy=policy, node=node, now=now)
        readers = demand(view, placed.holding, policy=policy, node=node, now=now)
        torrents.append(Surveyed(placed=placed, view=view, cut=cut, health=health, demand=readers, first=first))
        own.append(_own(placed, cut))
        first += cut.count
    counts = [each.cut.count for each in torrents]
    credit = np.array([min(policy.kappa * (each.health.mirrors or 0), 1.0) for each in torrents], dtype=np.float64)
    base, spared = np.repeat(credit + _merit(torrents, policy), counts), np.repeat(credit, counts)
    cost = _joined([cost for cost, _ in own], np.int64)
    copies = _joined([each.health.copies for each in torrents], np.int64)
    coming = _joined([each.health.coming for each in torrents], np.int64)
    known = np.repeat(np.array([each.health.known for each in torrents], dtype=np.bool_), counts)
    seen = np.where(known, copies + coming, 0)
    count = seen + (cost == 0)
    return Survey(
        torrents=tuple(torrents),
        owner=np.repeat(np.arange(len(torrents), dtype=np.int64), counts),
        size=_joined([each.cut.sizes() for each in torrents], np.int64),
        cost=cost,
        held=_joined([held for _, held in own], np.int64),
        copies=copies,
        coming=coming,
        known=known,
        offered=np.repeat(np.array([each.placed.item is not None for each in torrents], dtype=np.bool_), counts),
        pinned=np.repeat(np.array([each.placed.word is Word.PINNED for each in torrents], dtype=np.bool_), counts),
        excluded=np.repeat(np.array([each.placed.word is Word.EXCLUDED for each in torrents], dtype=np.bool_), counts),
        base=base,
        seen=seen,
        coverage=base + count - np.where(count == 0, spared, 0.0),  # no mirror credit before the first copy
        g=_joined([fetch_ranks(node, each.placed.info_hash, each.cut.count) for each in torrents], np.float64),
    )


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
