"""[protocol]: the constants that every node of a network shares. Another value is another network, so a configuration
that sets one must name a network of its own.
"""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from smartnode.config.section import Duration, Section
from smartnode.planning import protocol


class ProtocolKeys(Section):
    """The guard's times and K."""

    epoch: Duration = Field(default=protocol.EPOCH, description="T_ep: time between two draws of the guard's ranks")
    quiet_window: Duration = Field(default=protocol.QUIET, description="Q: nothing leaves so long after an epoch began")
    k: int = Field(default=protocol.K, ge=1, le=100, description="better-ranked proved holders that an eviction needs")
    swap_period: Duration = Field(default=protocol.SWAP_PERIOD, description="a full node swaps once in this time")
    holder_age_swap: Duration = Field(
        default=protocol.HOLDER_AGE_SWAP, description="how long a holder was seen before a swap relies on it"
    )
    holder_age_shrink: Duration = Field(
        default=protocol.HOLDER_AGE_SHRINK, description="the same after a lowered quota"
    )
    clock: Literal["checked", "trusted"] = Field(
        default="checked", description="whether a clock that may be wrong forbids evictions"
    )

    @model_validator(mode="after")
    def _quiet_within_epoch(self) -> Self:
        if self.quiet_window >= self.epoch:
            message = "quiet_window must be shorter than epoch"
            raise ValueError(message)
        return self

    @property
    def a_guard_most(self) -> timedelta:
        """How old a view may be at most that supports an eviction: what left in the last epoch must be seen in this
        one's views, although two clocks may be half a quiet window apart.
        """
        return self.quiet_window / 2
