"""The terms are the protocol's times: every node of a network has the same, and epochs begin at the same moment
everywhere.

epoch = floor(unix / T_ep). The first Q of an epoch is its quiet window: everybody looks, nobody evicts. Swap periods
begin at a phase of the node's own, so that the nodes do not all swap in the same minute.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.planning import protocol
from smartnode.planning.ranks import rank

_SWAP = InfoHash(b"swap".ljust(20, b"\0").hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Times and K of one network; ValueError when the quiet window does not fit into the epoch.

    *k*: better-ranked proved holders that an eviction needs. *holder_age_swap*, *holder_age_shrink*: how long a holder
    was seen with a segment before it counts, for swaps and after a lowered quota.
    """

    epoch: timedelta = protocol.EPOCH
    quiet: timedelta = protocol.QUIET
    k: int = protocol.K
    swap_period: timedelta = protocol.SWAP_PERIOD
    holder_age_swap: timedelta = protocol.HOLDER_AGE_SWAP
    holder_age_shrink: timedelta = protocol.HOLDER_AGE_SHRINK

    def __post_init__(self) -> None:
        if not timedelta(0) < self.quiet < self.epoch or self.k < 1 or self.swap_period <= timedelta(0):
            message = f"0 < quiet window < epoch, k >= 1, swap period > 0, not {self}"
            raise ValueError(message)
        if min(self.holder_age_swap, self.holder_age_shrink) < timedelta(0):
            message = f"the ages of holders are not below zero, not {self}"
            raise ValueError(message)

    def epoch_of(self, now: datetime) -> int:
        """Return the number of the epoch that *now* lies in."""
        return int(now.timestamp() // self.epoch.total_seconds())

    def into_epoch(self, now: datetime) -> timedelta:
        """Return how long ago the epoch of *now* began."""
        return timedelta(seconds=now.timestamp() % self.epoch.total_seconds())

    def is_quiet(self, now: datetime) -> bool:
        """Nobody evicts yet in the epoch of *now*."""
        return self.into_epoch(now) < self.quiet

    def swap_number(self, node: NodeId, now: datetime) -> int:
        """Return the number of the swap period of *node* that *now* lies in: one swap each."""
        period = self.swap_period.total_seconds()
        return int((now.timestamp() - swap_draw(node, 0) * period) // period)


def swap_draw(node: NodeId, number: int) -> float:
    """h(n, "swap", number) in (0, 1): rounds a swap that is no whole segment; number 0 is the phase of the periods."""
    return rank(node, _SWAP, segment=0, epoch=number)
