"""A plan without a node: the same functions on the same inputs, read from the disk; changes nothing but the
catalogue's snapshot.

Works beside a running node and on a host that never ran one: no ledger means that no swarm was ever seen, no resume
file that nothing is held, and a provisional node id, the same at each call, stands in for the one that the first run
will draw.
"""

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from smartnode.config.paths import Paths
from smartnode.config.settings import Settings
from smartnode.daemon.rooms import catalogue_of, disk_of, ledger_of, policy_of, selection_of
from smartnode.daemon.service import require_unsigned
from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.plan import Plan
from smartnode.domain.wishes import Wishes
from smartnode.errors import MetainfoError
from smartnode.metainfo.resume import RESUME_SUFFIX, read_resume
from smartnode.planning.plan import make_plan
from smartnode.planning.policy import Candidate


async def dry_run(settings: Settings, paths: Paths, *, now: datetime) -> Plan:
    """Return what a cycle would decide now; CatalogueError, DiskError or LedgerError when an input cannot be had."""
    require_unsigned(settings)
    holdings, unreadable = await asyncio.to_thread(read_holdings, paths.state / "resume")
    ledger = ledger_of(paths, read_only=True)
    await ledger.open()
    try:
        views, node_id = await ledger.views(), await ledger.known_node_id()
        wishes = Wishes.of(await ledger.wishes())
    finally:
        await ledger.close()
    catalogue = catalogue_of(settings, paths)
    snapshot = await catalogue.refresh(now=now, held=wishes.pinned.union(holdings), slice_number=0)
    in_flight = Bytes(sum(h.in_flight_bytes for h in holdings.values()))
    room = await disk_of(settings, paths).measure(in_flight)
    selection = selection_of(settings)
    plan = make_plan(
        [
            Candidate(
                item=item, layout=item.torrent.layout if item.torrent else None, unselected=selection.refusal(item)
            )
            for item in snapshot.items
        ],
        views=views,
        holdings=holdings,
        room=room,
        policy=policy_of(settings),
        node_id=node_id or provisional_node_id(paths.state),
        now=now,
        growth=Bytes(0),
        wishes=wishes,
    )
    return replace(plan, degraded=(*catalogue.degraded(), *unreadable, *plan.degraded))


def provisional_node_id(state: Path) -> NodeId:
    """Return the id that stands in before the first run; it depends on the state folder's path alone."""
    drawn = hashlib.sha256(str(state).encode()).digest()
    return NodeId(NODE_ID_PREFIX + drawn[: 20 - len(NODE_ID_PREFIX)])


def read_holdings(resume: Path) -> tuple[dict[InfoHash, Holding], list[str]]:
    """Return what the last save left, and one line per resume file that cannot be read."""
    holdings: dict[InfoHash, Holding] = {}
    unreadable: list[str] = []
    for path in sorted(resume.glob(f"*{RESUME_SUFFIX}")):
        try:
            left = read_resume(path.read_bytes())
        except (MetainfoError, OSError) as error:
            unreadable.append(f"engine: {path.name} cannot be read ({error})")
            continue
        holdings[left.info_hash] = Holding(
            info_hash=left.info_hash, layout=left.layout, have=left.have, wanted=left.wanted
        )
    return holdings, unreadable
