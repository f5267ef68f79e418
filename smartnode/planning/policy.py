"""What the planner is told besides facts: the local parameters of the placement rule, and the items it may consider.

Defaults come from the simulations that chose the rule; a node may change each without leaving the network.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from smartnode.domain.catalogue import Item
from smartnode.domain.pieces import Layout
from smartnode.domain.plan import Because
from smartnode.planning.place import NOWHERE, Place
from smartnode.planning.siblings import NO_SIBLINGS, Siblings
from smartnode.planning.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Local parameters; ValueError when one is outside its range.

    *pace*: part of the quota started per cycle, in (0, 1]; 2 % to 25 % gave the same loss.
    *kappa*: copies credited per live mirror, all of them together at most 1.
    *lambda_*: converts value to copies: -ln of the failure (0.3) of one copy within 30 days.
    *a_max*: older views are unknown. *t_mem*: how long a holder that went offline still counts.
    *t_urg*: a segment whose holders had all been offline this long when the swarm was last looked at counts as lost,
    while more than *many_away* of the remembered nodes are offline; *t_usual*: while fewer are, because nodes sleep.
    *t_progress*: a holder whose piece count grew within this time is still downloading.
    *a_guard*: age of a view that may support an eviction.
    *gamma*: part of the imbalance that all nodes together mend per swap; *gamma_many* where the archive's copies are
    more than 5,000 quotas. *hysteresis*: copies of difference before a swap. *siblings*: the operator's other
    nodes, one holder for an eviction. *target_copies*: with so many copies elsewhere nothing is fetched, None: whatever
    the rule says. *place*: where this node is. *terms*: those of the network.
    """

    pace: float = 0.10
    kappa: float = 0.5
    lambda_: float = 1.2
    a_max: timedelta = timedelta(hours=6)
    t_mem: timedelta = timedelta(hours=72)
    t_urg: timedelta = timedelta(hours=2)
    t_usual: timedelta = timedelta(hours=12)
    many_away: float = 0.25
    t_progress: timedelta = timedelta(minutes=30)
    a_guard: timedelta = timedelta(minutes=5)
    gamma: float = 0.5
    gamma_many: float = 0.1
    hysteresis: float = 1.0
    siblings: Siblings = NO_SIBLINGS
    target_copies: int | None = None
    place: Place = NOWHERE
    terms: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        if not 0 < self.pace <= 1 or self.kappa < 0 or self.lambda_ <= 0:
            message = f"pace in (0, 1], kappa >= 0, lambda > 0, not {self}"
            raise ValueError(message)
        if not 0 < self.gamma_many <= self.gamma <= 1 or self.hysteresis < 0:
            message = f"0 < gamma_many <= gamma <= 1, hysteresis >= 0, not {self}"
            raise ValueError(message)
        if self.target_copies is not None and self.target_copies < 1:
            message = f"target_copies >= 1, not {self}"
            raise ValueError(message)
        if min(self.a_max, self.t_mem, self.t_urg, self.t_usual, self.t_progress, self.a_guard) <= timedelta(0):
            message = f"the ages of a policy are above zero, not {self}"
            raise ValueError(message)
        if not 0 <= self.many_away <= 1:
            message = f"many_away in [0, 1], not {self}"
            raise ValueError(message)

    def patience(self, away: float) -> timedelta:
        """How long all holders of a segment may be offline until it counts as lost; *away*: part of the remembered
        nodes that is offline.
        """
        return self.t_urg if away > self.many_away else max(self.t_urg, self.t_usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An item that this cycle considers; *layout* None: its piece length is not known yet, so it cannot be cut.
    *unselected*: why the configuration leaves it out, None when it does not.

    The (collection, id) keys of the candidates of one plan are distinct.
    """

    item: Item
    layout: Layout | None
    unselected: Because | None = None
