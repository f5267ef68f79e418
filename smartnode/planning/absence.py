"""How many nodes are away: what tells the usual sleep of some from a failure of many.

A node that sleeps comes back with its data, so a segment whose few holders sleep at once is waited for; fetched at
once, it would be a copy too many next morning. After a failure of many nodes at once nobody comes back, and there is
not a moment to lose. (Simulated: waiting 12 h while nodes only sleep takes away four fifths of the traffic of churn.)
"""

from collections.abc import Iterable
from datetime import datetime

from smartnode.domain.identity import NodeId
from smartnode.domain.swarm import SwarmView
from smartnode.planning.policy import Policy


def away(views: Iterable[SwarmView], *, node: NodeId, policy: Policy, now: datetime) -> float:
    """Part of the other smartnodes remembered within T_mem, in [0, 1], that was nowhere met for T_urg when the swarms
    it is known from were looked at last; 0 when none is remembered.
    """
    met: dict[bytes, datetime] = {}
    looked: dict[bytes, datetime] = {}
    for view in views:
        if view.looked_at is None:
            continue
        for holder in view.holders:
            if holder.smartnode and holder.peer_id != node:
                name = holder.peer_id
                met[name] = max(met.get(name, holder.last_contact), holder.last_contact)
                looked[name] = max(looked.get(name, view.looked_at), view.looked_at)
    remembered = [name for name, at in met.items() if now - at <= policy.t_mem]
    gone = sum(looked[name] - met[name] > policy.t_urg for name in remembered)
    return gone / len(remembered) if remembered else 0.0
