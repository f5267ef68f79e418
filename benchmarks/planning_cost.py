"""What a plan of 3 million pieces costs, as a ratio to np.sort of as many numbers in the same run, and its peak memory.

Targets: at most 3 times the sort, at most 200 MB. Run: python benchmarks/planning_cost.py
"""

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np

from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.holding import Holding
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, NodeId
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.plan import Plan
from smartnode.domain.quota import Room
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.planning.plan import make_plan
from smartnode.planning.policy import Candidate, Policy
from smartnode.planning.ranks import fetch_ranks
from smartnode.planning.segments import Cut

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NODE = NodeId(NODE_ID_PREFIX + bytes(12))
TORRENTS, PIECES, PIECE = 1000, 3000, 16 << 20
HOLDERS, QUOTA, ROUNDS = 3, 500 * 10**9, 5


def archive() -> list[Candidate]:
    """1,000 items of 3,000 pieces of 16 MiB: 47 segments each, 50 TB."""
    found = []
    for number in range(TORRENTS):
        torrent = Torrent(
            info_hash=InfoHash(f"{number:040x}"),
            info_hash_v1=f"{number:040x}",
            info_hash_v2=None,
            size=Bytes(PIECES * PIECE - 5),
            piece_length=Bytes(PIECE),
            name=None,
            metainfo_url=None,
        )
        item = Item(key=ItemKey(collection="c", id=str(number)), torrent=torrent)
        found.append(Candidate(item=item, layout=torrent.layout))
    return found


def views(candidates: list[Candidate]) -> dict[InfoHash, SwarmView]:
    """Fresh views, each with three holders that have random pieces in part and whole segments in part."""
    rng, found = np.random.default_rng(1), {}
    for number, candidate in enumerate(candidates):
        if candidate.item.torrent is None:
            continue
        info_hash = candidate.item.torrent.info_hash
        holders = tuple(
            Holder(
                address=Address(host=f"10.{number >> 8}.{number & 255}.{each}", port=6881),
                peer_id=b"-XX0001-" + number.to_bytes(8, "big") + each.to_bytes(4, "big"),
                client=None,
                smartnode=False,
                pieces=Bitfield.from_array(np.repeat(rng.random(PIECES // 50) < 0.5, 50)),  # noqa: PLR2004 - half
                first_seen=NOW - timedelta(days=1),
                last_contact=NOW,
                progressed_at=NOW,
                witness=Witness.WIRE_PROBE,
            )
            for each in range(HOLDERS)
        )
        found[info_hash] = SwarmView(info_hash=info_hash, looked_at=NOW, witness=Witness.WIRE_PROBE, holders=holders)
    return found


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest round."""
    rounds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        rounds.append(perf_counter() - start)
    return min(rounds)


def main() -> None:
    """Print the figures."""
    candidates = archive()
    seen = views(candidates)
    room = Room(
        quota=Bytes(QUOTA),
        allocated=Bytes(0),
        overhead=Bytes(0),
        in_flight=Bytes(0),
        disk_free=Bytes(10**15),
        keep_free=Bytes(0),
    )
    holdings: dict[InfoHash, Holding] = {}

    def plan() -> Plan:
        return make_plan(
            candidates,
            views=seen,
            holdings=holdings,
            room=room,
            policy=Policy(),
            node_id=NODE,
            now=NOW,
            growth=Bytes(0),
        )

    numbers = np.random.default_rng(2).random(TORRENTS * PIECES)
    sort = fastest(lambda: np.sort(numbers))
    start = perf_counter()
    made = plan()
    first = perf_counter() - start
    again = fastest(plan)
    fetch_ranks.cache_clear()
    tracemalloc.start()
    plan()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    cuts = [Cut.of(each.layout) for each in candidates if each.layout is not None]
    have = np.ones(PIECES, dtype=np.bool_)
    pieces = fastest(lambda: [cut.whole(have) for cut in cuts])
    print(
        f"segments {sum(cut.count for cut in cuts)}, fetched {len(made.order)}, np.sort of {len(numbers)}: {sort:.3f} s"
    )
    print(f"plan, ranks unknown: {first:.3f} s = {first / sort:.2f} x sort")
    print(f"plan, ranks remembered: {again:.3f} s = {again / sort:.2f} x sort; peak {peak / 1e6:.0f} MB")
    print(f"whole segments of all pieces once: {pieces / sort:.3f} x sort")


if __name__ == "__main__":
    main()
