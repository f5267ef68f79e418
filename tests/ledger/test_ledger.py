"""What outlives a cycle comes back as it was told, within its bounds."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.identity import NODE_ID_PREFIX
from smartnode.errors import LedgerError
from smartnode.ledger.ledger import DECISIONS_MAX, Ledger
from smartnode.ledger.rows import TEXT_MAX
from smartnode.ledger.tables import HOLDERS_MAX


async def test_views_and_holders_survive_a_restart(opens: Any, make: Any) -> None:
    """Every field comes back as it was told: never looked at, seen to be none, and seen with holders."""
    told = [make.view(1), make.view(2, holders=0), make.view(3, holders=0, looked_at=None)]
    first = await opens()
    await first.remember(told)
    await first.close()
    assert await (await opens()).views() == {view.info_hash: view for view in told}


async def test_a_fresh_view_replaces_the_whole_older_one(opens: Any, make: Any) -> None:
    """Holders that the fresh view does not name are gone; other swarms stay."""
    ledger = await opens()
    await ledger.remember([make.view(1, holders=5), make.view(2)])
    fresh = make.view(1, holders=1, looked_at=make.now + timedelta(hours=1))
    await ledger.remember([fresh])
    assert await ledger.views() == {fresh.info_hash: fresh, make.torrent(2): make.view(2)}


async def test_at_most_two_hundred_holders_per_swarm(opens: Any, make: Any) -> None:
    """Those heard of last are kept."""
    ledger = await opens()
    crowd = make.view(1, holders=HOLDERS_MAX + 50)
    await ledger.remember([crowd])
    assert (await ledger.views())[crowd.info_hash].holders == crowd.holders[:HOLDERS_MAX]


async def test_one_peer_named_twice_counts_once(opens: Any, make: Any) -> None:
    """A doubled peer id costs nothing but the older of the two."""
    ledger = await opens()
    late, early = make.holder(1), make.holder(1, age=timedelta(hours=1))
    view = replace(make.view(1), holders=(early, late))
    await ledger.remember([view])
    assert (await ledger.views())[view.info_hash].holders == (late,)


async def test_beyond_the_bound_whole_swarms_are_forgotten(path: Path, make: Any) -> None:
    """The swarms looked at longest ago go with all their holders; no view is left that lost some."""
    ledger = Ledger(path, rows_max=30)
    await ledger.open()
    told = [make.view(n, holders=4, looked_at=make.now + timedelta(minutes=n)) for n in range(10)]
    await ledger.remember([make.view(99, holders=4, looked_at=None), *told])
    assert await ledger.views() == {view.info_hash: view for view in told[4:]}
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM holders").fetchone() == (24,)


async def test_the_node_id_is_drawn_once(opens: Any) -> None:
    """None before the first run; then one id with the protocol's prefix, kept for good."""
    first = await opens()
    assert await first.known_node_id() is None
    drawn = await first.node_id()
    assert drawn.startswith(NODE_ID_PREFIX)
    assert len(drawn) == 20
    assert await first.node_id() == drawn
    await first.close()
    second = await opens()
    assert (await second.known_node_id(), await second.node_id()) == (drawn, drawn)


async def test_two_nodes_draw_two_ids(tmp_path: Path) -> None:
    """The id is random."""
    drawn = set()
    for name in ("a", "b"):
        ledger = Ledger(tmp_path / name)
        await ledger.open()
        drawn.add(await ledger.node_id())
        await ledger.close()
    assert len(drawn) == 2


async def test_decisions_come_newest_first_and_by_torrent(opens: Any, make: Any) -> None:
    """All of them, those of one torrent, and no more than asked for."""
    ledger = await opens()
    mine = make.torrent(7)
    told = [make.decision(n, torrent=mine if n % 2 else None) for n in range(10)]
    await ledger.close_cycle(told[:6])
    await ledger.close_cycle(told[6:])
    assert await ledger.decisions(limit=100) == told[::-1]
    assert await ledger.decisions(limit=2, info_hash=mine) == [told[9], told[7]]
    assert await ledger.decisions(limit=100, info_hash=make.torrent(8)) == []
    assert await ledger.decisions(limit=-1) == []


async def test_only_the_newest_decisions_are_kept(opens: Any, make: Any, path: Path) -> None:
    """Beyond DECISIONS_MAX the oldest go, also when one cycle alone makes more."""
    ledger = await opens()
    await ledger.close_cycle([make.decision(n) for n in range(DECISIONS_MAX)])
    await ledger.close_cycle([make.decision(n) for n in range(DECISIONS_MAX, DECISIONS_MAX + 7)])
    kept = await ledger.decisions(limit=10 * DECISIONS_MAX)
    assert [d.cycle for d in kept] == list(range(DECISIONS_MAX + 6, 6, -1))
    await ledger.close_cycle([make.decision(n) for n in range(2 * DECISIONS_MAX)])
    assert [d.cycle for d in await ledger.decisions(limit=2 * DECISIONS_MAX)][-1] == DECISIONS_MAX
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM decisions").fetchone() == (DECISIONS_MAX,)


async def test_texts_of_others_are_bounded_and_encodable(opens: Any, make: Any) -> None:
    """A long text is cut; a file name that is not UTF-8 does not cost the cycle its decisions."""
    ledger = await opens()
    await ledger.close_cycle([replace(make.decision(1), because="x" * 9_999, outcome="failed: bad-\udcff.tif")])
    (kept,) = await ledger.decisions(limit=1)
    assert kept.because == "x" * TEXT_MAX
    assert kept.outcome == "failed: bad-?.tif"


async def test_nothing_is_stored_for_nothing(opens: Any, path: Path) -> None:
    """An empty cycle writes nothing."""
    ledger = await opens()
    before = path.with_name(path.name + "-wal").stat().st_size
    await ledger.remember([])
    await ledger.close_cycle([])
    assert path.with_name(path.name + "-wal").stat().st_size == before


async def test_a_closed_ledger_says_so(opens: Any) -> None:
    """Closing twice is closing once; afterwards every question is a LedgerError."""
    ledger = await opens()
    await ledger.close()
    await ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.views()


async def test_the_state_stays_small(opens: Any, make: Any, path: Path) -> None:
    """A day of a small node: 6 swarms of 20 holders looked at 300 times and 2,000 decisions stay under 700 KiB of
    blocks, write-ahead log included, at every moment.
    """
    ledger = await opens()
    told = 0
    largest = 0
    for cycle in range(300):
        looked_at = make.now + timedelta(minutes=cycle)
        await ledger.remember([make.view(n, holders=20, looked_at=looked_at) for n in range(6)])
        until = 2_000 * (cycle + 1) // 300
        await ledger.close_cycle([make.decision(n, torrent=make.torrent(n % 6)) for n in range(told, until)])
        told = until
        largest = max(largest, sum(file.stat().st_blocks * 512 for file in path.parent.iterdir()))
    assert told == 2_000
    assert largest < 700 * 1024
