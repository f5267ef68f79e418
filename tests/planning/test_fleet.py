"""A few nodes that run the same plan at the same moments, each seeing what the others held a cycle ago."""

from typing import Any

import pytest

from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.domain.pieces import Bitfield, Layout
from smartnode.domain.swarm import SwarmView
from smartnode.planning.difference import difference
from smartnode.planning.plan import make_plan
from smartnode.planning.policy import Candidate, Policy

SIZES = (16_000, 6_400, 3_210, 3_200, 995)
Fleet = dict[NodeId, dict[InfoHash, Holding]]


def _views(world: Any, layouts: dict[InfoHash, Layout], fleet: Fleet, me: NodeId) -> dict[InfoHash, SwarmView]:
    """What *me* sees of the others."""
    found = {}
    for number, info_hash in enumerate(layouts):
        holders = [
            world.holder(rank, node[info_hash].have, peer_id=name)
            for rank, (name, node) in enumerate(fleet.items())
            if name != me and info_hash in node
        ]
        found[info_hash] = world.view(number, *holders, mirrors=1)
    return found


def _step(world: Any, candidates: list[Candidate], fleet: Fleet, me: NodeId, *, quota: int, policy: Policy) -> Any:
    """One cycle of one node: what it holds afterwards, everything started having arrived; None when nothing starts."""
    layouts = {world.info_hash(n): c.layout for n, c in enumerate(candidates)}
    mine, room = fleet[me], world.room(quota, fleet[me])
    plan = make_plan(
        candidates,
        views=_views(world, layouts, fleet, me),
        holdings=mine,
        room=room,
        policy=policy,
        node_id=me,
        now=world.now,
        growth=0,
    )
    change = difference(plan, holdings=mine, room=room, policy=policy, layouts=layouts)
    assert not change.evict
    assert not change.dropped
    arrived = {
        name: Holding(info_hash=name, layout=layouts[name], have=pieces, wanted=pieces)
        for name, pieces in change.wanted.items()
    }
    return mine | arrived if change.started else None


@pytest.mark.parametrize("ratio", [1.5, 1.75, 2.0])
@pytest.mark.parametrize("names", range(4))
def test_simultaneous_nodes_cover_the_archive(world: Any, ratio: float, names: int) -> None:
    """Five nodes that together give 1.5 to 2 times the archive, each less than the largest item, and always decide at
    once: every piece is held, the quotas are used, and the fleet comes to rest.
    """
    candidates = [world.candidate(number, size) for number, size in enumerate(SIZES)]
    quota = int(sum(SIZES) * ratio / 5)
    assert quota < max(SIZES)
    fleet: Fleet = {node_id(NODE_ID_PREFIX + f"{names}{rank:011}".encode()): {} for rank in range(5)}
    for _ in range(60):
        steps = {me: _step(world, candidates, fleet, me, quota=quota, policy=Policy()) for me in fleet}
        if not any(steps.values()):
            break
        fleet |= {me: after for me, after in steps.items() if after is not None}
    assert not any(steps.values())
    for number, candidate in enumerate(candidates):
        assert candidate.layout is not None
        name, covered = world.info_hash(number), Bitfield.empty(candidate.layout.num_pieces)
        for node in fleet.values():
            covered |= node[name].have if name in node else covered
        assert covered == Bitfield.full(candidate.layout.num_pieces)
    used = [sum(each.held_bytes for each in node.values()) for node in fleet.values()]
    assert max(used) <= quota
    assert sum(used) >= 0.9 * 5 * quota
