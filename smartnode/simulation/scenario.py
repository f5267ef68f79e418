"""A scenario is everything that a simulation depends on: the same scenario gives the same figures, on any machine."""

from dataclasses import dataclass
from enum import StrEnum

TB = 10**12
GB = 10**9


class Rule(StrEnum):
    """How the nodes decide: ours, ours without the guard, or what others do."""

    SMARTNODE = "smartnode"
    NO_GUARD = "no-guard"
    FIRST_FIT = "first-fit"  # whole datasets in catalogue order, whatever fits: the predecessor
    RANDOM = "random"  # whole datasets in random order
    RAREST_DATASET = "rarest-dataset"  # whole datasets, fewest copies first
    KEEPERS = "keepers"  # whole datasets that have too few keepers, at random
    RANK_ONLY = "rank-only"  # segments by the node's own rank, whatever the copies
    GREEDY = "greedy"  # segments with the fewest copies, no spread, swapped at once and unguarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run; ValueError when a number is out of range.

    *capacity_ratio*: C / S, donated bytes over bytes of the archive. *segment*: bytes of a segment. *cycle_s*: all
    nodes decide at the same moment, once per cycle: the worst case.

    What goes wrong, each off by default: *nat*: share of nodes that cannot be dialled. *visibility*: share of the other
    nodes that a node can ever see. *stale*: cycles by which every look is old. *uptime*: mean share of time online, in
    spells of hours. *deaths_per_day*: share of the nodes that leave for ever each day, replaced by empty ones.
    *mass_death*: share that dies at *event_h*. *shrink_to*: at *event_h* all quotas shrink so that C / S is this.
    *mirror_death*: at *event_h* no mirror lives any more. *arrive_h*: nodes arrive one by one within these hours.
    *liars*: peers that claim every segment and hold none. *sybils*: the same, and they pass every proof by relaying.

    What might be: *bulletins*: every node sees every holding. *visible_flight*: and what is on its way, at once.
    """

    nodes: int = 100
    capacity_ratio: float = 2.0
    hours: float = 72.0
    seed: int = 1
    rule: Rule = Rule.SMARTNODE
    archive: int = 50 * TB
    datasets: int = 1220
    segment: int = 4 * GB
    cycle_s: int = 900
    nat: float = 0.0
    visibility: float = 1.0
    stale: int = 0
    uptime: float = 1.0
    deaths_per_day: float = 0.0
    mass_death: float = 0.0
    shrink_to: float | None = None
    mirror_death: bool = False
    event_h: float = 48.0
    arrive_h: float = 0.0
    liars: int = 0
    sybils: int = 0
    bulletins: bool = False
    visible_flight: bool = False

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.capacity_ratio <= 0 or self.hours <= 0 or self.segment < 1 or self.datasets < 1:
            message = f"nodes, capacity ratio, hours, segment and datasets are above zero, not {self}"
            raise ValueError(message)
        shares = (self.nat, self.visibility, self.uptime, self.deaths_per_day, self.mass_death)
        if any(not 0 <= share <= 1 for share in shares) or self.uptime == 0:
            message = f"shares lie between 0 and 1, uptime above 0, not {self}"
            raise ValueError(message)
        if min(self.stale, self.liars, self.sybils, self.arrive_h, self.event_h) < 0 or self.cycle_s < 1:
            message = f"counts and times are not below zero, not {self}"
            raise ValueError(message)

    @property
    def ticks(self) -> int:
        """Cycles of the run."""
        return max(1, round(self.hours * 3600 / self.cycle_s))

    def tick_of(self, hour: float) -> int:
        """Return the cycle that *hour* lies in."""
        return round(hour * 3600 / self.cycle_s)
