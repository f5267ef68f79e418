"""Who was seen with which segment since the epoch began: what the guard judges by.

Laws: only what a look of this node saw is kept, never hearsay; who was seen with a segment in this epoch stays seen
with it until the next, whatever is seen later; a segment that a node was seen without begins its age anew, and so does
a node that nobody saw for T_mem. A proof counts for A_guard; a failed one until the epoch ends, and so does silence at
the address where a node was asked, so that others have their turn; a lie voids what the liar and its network proved
before. After a restart nothing goes for an epoch: ages come back (`tenures.py`), sightings do not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.swarm import Address, Holder, SwarmView
from smartnode.domain.tenure import Tenure
from smartnode.planning.guard import Evidence, Hearing, Rival, Segment
from smartnode.planning.health import distinct
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut

TORRENTS_MAX = 20_000
"""Torrents that are remembered; those that were seen longest ago go first."""

_NEVER = float("inf")
_NO_EPOCH = -1
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """One smartnode in one swarm. *whole*: as last seen at *at*. *ever*: segments it was seen with in this epoch.

    *since*: seconds since 1970 when it was first seen with each segment without a break, infinity: not.
    """

    address: Address
    at: datetime
    whole: NDArray[np.bool_]
    ever: NDArray[np.bool_]
    since: NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class _Swarm:
    """One swarm. *quiet*: it was looked at in the quiet window of *epoch*."""

    epoch: int
    quiet: bool = False
    seen: dict[NodeId, _Seen] = field(default_factory=dict)


class Epochs:
    """Sightings of smartnodes, and their proofs."""

    def __init__(self, node: NodeId) -> None:
        """Keep what *node* sees."""
        self._node = node
        self._swarms: dict[InfoHash, _Swarm] = {}
        self._turns: dict[InfoHash, datetime] = {}
        self._proofs: dict[tuple[NodeId, InfoHash, int], tuple[datetime, bool]] = {}
        self._unkept: set[InfoHash] = set()
        self._silent: dict[NodeId, tuple[datetime, Address]] = {}
        self._liars: dict[NodeId | str, datetime] = {}
        """By their id, and by their network."""

    def saw(self, view: SwarmView, cut: Cut, policy: Policy, now: datetime) -> None:
        """Take in a view that was looked at now; an older one tells nothing."""
        if view.looked_at != now:
            return
        epoch = policy.terms.epoch_of(now)
        swarm = self._swarms.pop(view.info_hash, None) or _Swarm(epoch=epoch)
        self._swarms[view.info_hash] = swarm  # the last one seen stays longest
        if swarm.epoch != epoch:
            swarm.epoch, swarm.quiet = epoch, False
            for each in swarm.seen.values():
                each.ever = np.zeros_like(each.ever)
        swarm.quiet |= policy.terms.is_quiet(now)
        for name in [n for n, each in swarm.seen.items() if now - each.at > policy.t_mem]:
            del swarm.seen[name]
        self._unkept.add(view.info_hash)
        for holder in distinct(view.holders, self._node):
            if holder.smartnode and holder.pieces.length == cut.layout.num_pieces and holder.last_contact == now:
                whole = cut.whole(holder.pieces.to_array())
                _sight(swarm.seen, NodeId(holder.peer_id), holder.address, whole, now)
        while len(self._swarms) > TORRENTS_MAX:
            oldest = next(iter(self._swarms))
            del self._swarms[oldest]
            self._unkept.discard(oldest)

    def restore(self, tenure: Tenure, holder: Holder, cut: Cut, now: datetime) -> None:
        """Take up the ages of a node; *holder*: as it was seen at the end of them. Who was seen since the start stays
        as young as that.
        """
        shapes = (len(tenure.since), holder.pieces.length)
        if tenure.at > now or shapes != (cut.count, cut.layout.num_pieces):
            return
        swarm = self._swarms.setdefault(tenure.info_hash, _Swarm(epoch=_NO_EPOCH))
        whole = cut.whole(holder.pieces.to_array()) & (tenure.since > 0)
        since = np.where(whole, tenure.since, _NEVER)
        unseen = _Seen(address=holder.address, at=tenure.at, whole=whole, ever=np.zeros_like(whole), since=since)
        swarm.seen.setdefault(tenure.node, unseen)

    def unkept(self) -> dict[InfoHash, list[Tenure]]:
        """Return the ages of every swarm that was looked at since it was *kept* last."""
        found = ((h, self._swarms[h]) for h in self._unkept)
        return {h: [_tenure(h, n, each) for n, each in s.seen.items() if each.whole.any()] for h, s in found}

    def kept(self, swarms: Iterable[InfoHash]) -> None:
        """Take note that the ages of *swarms* were written."""
        self._unkept.difference_update(swarms)

    def proved(self, node: NodeId, segment: Segment, *, holds: bool, now: datetime) -> None:
        """Take in how a proof ended: *holds*, or by its own word it does not."""
        self._proofs[node, *segment] = (now, holds)

    def failed(self, node: NodeId, address: Address, *, lied: bool, now: datetime) -> None:
        """Take in that *node* did not answer at *address*, or *lied* there."""
        if lied:
            self._liars |= {node: now, address.network: now}
        else:
            self._silent[node] = (now, address)

    def to_look(self, held: Iterable[InfoHash], policy: Policy, now: datetime, *, count: int) -> list[InfoHash]:
        """Return *count* of the *held* swarms that were not seen in the quiet window that *now* lies in; outside of one
        none. Whose turn was longest ago comes first: a window too short for all of them is made up for in the next.
        """
        held = set(held)
        self._turns = {h: at for h, at in self._turns.items() if h in held}
        if not policy.terms.is_quiet(now):
            return []
        epoch = policy.terms.epoch_of(now)
        seen = {h for h in held & self._swarms.keys() if self._swarms[h].quiet and self._swarms[h].epoch == epoch}
        chosen = sorted(held - seen, key=lambda h: (self._turns.get(h, _LONG_AGO), h))[:count]
        self._turns.update(dict.fromkeys(chosen, now))
        return chosen

    def address_of(self, node: NodeId, info_hash: InfoHash) -> Address | None:
        """Return where *node* was seen last in a swarm."""
        swarm = self._swarms.get(info_hash)
        seen = None if swarm is None else swarm.seen.get(node)
        return None if seen is None else seen.address

    def hearing(self, held: Iterable[Segment], policy: Policy, now: datetime, *, clock: str | None) -> Hearing:
        """Return what the guard may know of *held* segments; *clock*: why it cannot be trusted."""
        epoch = policy.terms.epoch_of(now)
        self._forget(epoch, policy, now)
        found = {}
        groups: dict[InfoHash, dict[NodeId, str]] = {}
        for segment in held:
            swarm = self._swarms.get(segment[0])
            if swarm is not None and swarm.epoch == epoch:
                if segment[0] not in groups:
                    groups[segment[0]] = policy.siblings.groups({n: each.address for n, each in swarm.seen.items()})
                found[segment] = self._evidence(swarm, segment, groups[segment[0]], policy, now)
        return Hearing(evidence=found, clock=clock)

    def _evidence(
        self, swarm: _Swarm, segment: Segment, groups: Mapping[NodeId, str], policy: Policy, now: datetime
    ) -> Evidence:
        number = segment[1]
        rivals = []
        for name, each in swarm.seen.items():
            if number >= len(each.ever) or not each.ever[number]:
                continue
            since = float(each.since[number])
            rivals.append(
                Rival(
                    node=name,
                    group=groups[name],
                    holds=bool(each.whole[number]) and now - each.at <= policy.a_guard,
                    age=timedelta(0) if since == _NEVER else timedelta(seconds=max(0.0, now.timestamp() - since)),
                    proved=self._proved(name, segment, each.address),
                )
            )
        return Evidence(rivals=tuple(rivals), looked_quiet=swarm.quiet)

    def _proved(self, node: NodeId, segment: Segment, address: Address) -> bool | None:
        """Return whether *node*, seen last at *address*, proved a segment; None: it was not asked, or not there."""
        if node in self._liars or address.network in self._liars:
            return False
        known, silent = self._proofs.get((node, *segment)), self._silent.get(node)
        if known is not None:
            return known[1]
        return False if silent is not None and silent[1] == address else None

    def _forget(self, epoch: int, policy: Policy, now: datetime) -> None:
        """Let go of proofs that are old, and of failures of another epoch."""

        def stays(at: datetime) -> bool:
            return policy.terms.epoch_of(at) == epoch

        self._proofs = {
            k: p for k, p in self._proofs.items() if (now - p[0] <= policy.a_guard if p[1] else stays(p[0]))
        }
        self._silent = {node: each for node, each in self._silent.items() if stays(each[0])}
        self._liars = {name: at for name, at in self._liars.items() if stays(at)}


def _sight(seen: dict[NodeId, _Seen], name: NodeId, address: Address, whole: NDArray[np.bool_], now: datetime) -> None:
    """Take in one sighting of one smartnode."""
    before = seen.get(name)
    if before is None or len(before.whole) != len(whole):
        since = np.where(whole, now.timestamp(), _NEVER)
        seen[name] = _Seen(address=address, at=now, whole=whole, ever=whole.copy(), since=since)
        return
    before.since = np.where(whole, np.minimum(before.since, now.timestamp()), _NEVER)
    before.address, before.at, before.whole = address, now, whole
    before.ever = before.ever | whole


def _tenure(info_hash: InfoHash, name: NodeId, seen: _Seen) -> Tenure:
    since = np.where(seen.whole, np.ceil(seen.since), 0).astype(np.int64)
    return Tenure(info_hash=info_hash, node=name, at=seen.at, since=since)
