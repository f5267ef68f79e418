"""Since when holders were seen outlives a restart as it was told, bounded; every older ledger is brought up for it."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smartnode.domain.identity import node_id
from smartnode.domain.tenure import Tenure
from smartnode.errors import LedgerError
from smartnode.ledger import schema
from smartnode.ledger.ledger import Ledger
from smartnode.ledger.tables import HOLDERS_MAX


def tenure(make: Any, torrent: int, peer: int, *, age: timedelta = timedelta(0), segments: int = 32) -> Tenure:
    """Peer *peer* in the swarm of *torrent*, seen last *age* ago; with the first segment it was not seen."""
    since = np.full(segments, int(make.now.timestamp()) - 1000 * peer, dtype=np.int64)
    since[0] = 0
    at = make.now - age
    return Tenure(info_hash=make.torrent(torrent), node=node_id(make.holder(peer).peer_id), at=at, since=since)


def allocated(path: Path) -> int:
    """Bytes of the file's blocks."""
    return path.stat().st_blocks * 512


def content(path: Path) -> bytes:
    """The file as it is."""
    return path.read_bytes()


def plain(tenures: Any) -> list[Any]:
    """Tenures as values that compare."""
    return [(t.info_hash, t.node, t.at, t.since.tolist()) for t in tenures]


def by_swarm(*tenures: Tenure) -> dict[Any, list[Tenure]]:
    """Tenures as they are remembered."""
    found: dict[Any, list[Tenure]] = {}
    for each in tenures:
        found.setdefault(each.info_hash, []).append(each)
    return found


async def test_ages_survive_a_restart(opens: Any, make: Any) -> None:
    """Every field comes back; a swarm is replaced as a whole, also by nobody, and others stay."""
    first = await opens()
    old, new = tenure(make, 1, 1), tenure(make, 1, 2, segments=5000)
    await first.remember_tenures(by_swarm(old, tenure(make, 1, 3), tenure(make, 2, 1), tenure(make, 3, 1)))
    await first.remember_tenures({**by_swarm(new), make.torrent(3): []})
    await first.close()
    assert plain(await (await opens()).tenures()) == plain([new, tenure(make, 2, 1)])


async def test_ages_are_bounded(path: Path, make: Any) -> None:
    """Of one swarm the 200 that were seen last stay, and in all as many as rows may be."""
    ledger = Ledger(path, rows_max=HOLDERS_MAX + 10)
    await ledger.open()
    crowd = [tenure(make, 1, n, age=timedelta(minutes=n)) for n in range(HOLDERS_MAX + 30)]
    await ledger.remember_tenures(by_swarm(*crowd))
    assert plain(await ledger.tenures()) == plain(sorted(crowd[:HOLDERS_MAX], key=lambda t: t.node))
    later = [tenure(make, 2, n, age=timedelta(seconds=n)) for n in range(50)]
    await ledger.remember_tenures(by_swarm(*later))
    kept = await ledger.tenures()
    assert len(kept) == HOLDERS_MAX + 10
    assert plain(t for t in kept if t.info_hash == make.torrent(2)) == plain(later)
    await ledger.close()


async def test_a_thousand_ages_take_little_room(opens: Any, make: Any, path: Path) -> None:
    """One holder of a 5 TB torrent that it took up segment by segment, and 1,000 of small ones: below 300 KiB."""
    ledger = await opens()
    large = tenure(make, 0, 1, segments=5000)
    large.since[:] = large.since[1] + 40 * np.arange(5000)
    await ledger.remember_tenures(by_swarm(large, *(tenure(make, 1 + n // 20, n % 20) for n in range(1000))))
    await ledger.close()
    assert allocated(path) < 300 * 1024


async def test_ages_that_make_no_sense_are_left_out(opens: Any, make: Any, path: Path) -> None:
    """Nonsense in a whole database is no age; the good ones live."""
    ledger = await opens()
    await ledger.remember_tenures(by_swarm(*(tenure(make, n, n) for n in range(6))))
    await ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        for number, wrong in enumerate(("info_hash = 'nobody'", "peer_id = x'00'", "at = 1e300", "since = x'00'"), 1):
            database.execute(f"UPDATE tenures SET {wrong} WHERE info_hash = ?", (make.torrent(number),))  # noqa: S608
        database.execute("UPDATE tenures SET since = 'long ago' WHERE info_hash = ?", (make.torrent(5),))
    assert plain(await (await opens()).tenures()) == plain([tenure(make, 0, 0)])


async def test_nothing_seen_writes_nothing(opens: Any, path: Path) -> None:
    """A cycle that looked at nothing costs no write."""
    ledger = await opens()
    before = path.with_name(path.name + "-wal").stat().st_size
    await ledger.remember_tenures({})
    assert path.with_name(path.name + "-wal").stat().st_size == before


def leave(path: Path, make: Any, version: int) -> None:
    """What a node of an older schema left: its tables as that version made them, and a view."""
    with closing(sqlite3.connect(path)) as database, database:
        for step in schema._STEPS[:version]:
            for statement in step:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("INSERT INTO views VALUES (?, ?, 'dht', NULL)", (make.torrent(1), make.now.timestamp()))


OLDER = range(1, schema.VERSION)


@pytest.mark.parametrize("version", OLDER)
async def test_an_older_ledger_is_brought_up(opens: Any, make: Any, path: Path, version: int) -> None:
    """What it knew lives on, it has no ages, and takes some."""
    leave(path, make, version)
    ledger = await opens()
    assert (await ledger.views()).keys() == {make.torrent(1)}
    assert list(await ledger.tenures()) == []
    await ledger.remember_tenures(by_swarm(tenure(make, 1, 1)))
    assert plain(await ledger.tenures()) == plain([tenure(make, 1, 1)])
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


@pytest.mark.parametrize("version", OLDER)
async def test_a_reader_of_an_older_ledger_finds_no_ages(opens: Any, make: Any, path: Path, version: int) -> None:
    """A dry run beside it changes nothing, and writes nothing through a reader."""
    leave(path, make, version)
    before = content(path)
    reader = await opens(read_only=True)
    assert list(await reader.tenures()) == []
    with pytest.raises(LedgerError, match="not open for writing"):
        await reader.remember_tenures(by_swarm(tenure(make, 1, 1)))
    assert content(path) == before
