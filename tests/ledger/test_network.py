"""What trackers counted and what is known of web seeds outlives a restart; older ledgers are brought up."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.domain.tracker import Scrape
from smartnode.ledger import schema
from smartnode.ledger.ledger import Ledger
from smartnode.ledger.rows import holder_row

# Schema 1 as it was released: what a node of that version left behind.
SCHEMA_1 = """
CREATE TABLE node (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE views (info_hash TEXT PRIMARY KEY, looked_at REAL, witness TEXT, mirrors INTEGER) WITHOUT ROWID;
CREATE TABLE holders (info_hash TEXT NOT NULL, peer_id BLOB NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    client TEXT, smartnode INTEGER NOT NULL, pieces BLOB NOT NULL, num_pieces INTEGER NOT NULL,
    first_seen REAL NOT NULL, last_contact REAL NOT NULL, progressed_at REAL, witness TEXT NOT NULL,
    PRIMARY KEY (info_hash, peer_id)) WITHOUT ROWID;
CREATE TABLE decisions (number INTEGER PRIMARY KEY, at REAL NOT NULL, cycle INTEGER NOT NULL,
    action TEXT NOT NULL, item TEXT NOT NULL, info_hash TEXT, segments INTEGER NOT NULL, bytes INTEGER NOT NULL,
    rule TEXT NOT NULL, because TEXT NOT NULL, outcome TEXT NOT NULL);
PRAGMA user_version = 1;
"""


def scrape(make: Any, *, age: timedelta = timedelta(0)) -> Scrape:
    """Counts with one figure that no tracker said."""
    return Scrape(
        at=make.now - age,
        complete=3,
        incomplete=None,
        downloaded=70,
        downloaded_before=60,
        before_at=make.now - timedelta(days=2),
    )


def mirror(make: Any, number: int = 1, **changes: Any) -> Mirror:
    """A live web seed of torrent *number*."""
    live = Mirror(
        info_hash=make.torrent(number),
        url="https://example.org/a%20b.pmtiles",
        state=MirrorState.LIVE,
        target="https://cdn.example.org/x?y=1",
        checked_at=make.now,
        hashed_at=make.now - timedelta(hours=1),
        validator='"etag"',
    )
    return replace(live, **changes)


async def test_counts_and_mirrors_survive_a_restart(opens: Any, make: Any) -> None:
    """Every field comes back as it was told, unknown stays unknown; a fresh row replaces the older one of its name."""
    ledger = await opens()
    waiting = mirror(
        make,
        2,
        state=MirrorState.WAITING,
        reason="429",
        failures=3,
        until=make.now + timedelta(hours=1),
        hashed_at=None,
    )
    await ledger.remember_scrapes(
        {make.torrent(1): scrape(make, age=timedelta(hours=1)), make.torrent(2): scrape(make)}
    )
    await ledger.remember_scrapes({make.torrent(1): scrape(make)})
    await ledger.remember_mirrors([mirror(make, 1), mirror(make, 2)])
    await ledger.remember_mirrors([waiting])
    await ledger.close()
    again = await opens()
    assert await again.scrapes() == {make.torrent(1): scrape(make), make.torrent(2): scrape(make)}
    assert {m.info_hash: m for m in await again.mirrors()} == {make.torrent(1): mirror(make), make.torrent(2): waiting}


async def test_what_was_seen_of_a_leecher_survives(opens: Any, make: Any) -> None:
    """A holder's speed and its word that it wants nothing more are kept."""
    holder = replace(make.holder(1), upload_only=True, rate=0.25)
    view = replace(make.view(1), holders=(holder,))
    ledger = await opens()
    await ledger.remember([view])
    assert (await ledger.views())[view.info_hash] == view


async def test_beyond_the_bounds_the_oldest_rows_go(path: Path, make: Any) -> None:
    """Counts and mirrors asked for longest ago are forgotten first."""
    ledger = Ledger(path, rows_max=3)
    await ledger.open()
    ages = {n: timedelta(hours=n) for n in range(5)}
    await ledger.remember_scrapes({make.torrent(n): scrape(make, age=age) for n, age in ages.items()})
    await ledger.remember_mirrors([mirror(make, n, checked_at=make.now - age) for n, age in ages.items()])
    kept = {make.torrent(n) for n in range(3)}
    assert (await ledger.scrapes()).keys() == kept
    assert {m.info_hash for m in await ledger.mirrors()} == kept
    await ledger.close()


async def test_rows_that_make_no_sense_are_left_out(opens: Any, make: Any, path: Path) -> None:
    """Nonsense in a whole database is unknown; the good rows live."""
    ledger = await opens()
    await ledger.remember_scrapes({make.torrent(n): scrape(make) for n in range(3)})
    await ledger.remember_mirrors([mirror(make, n) for n in range(3)])
    await ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE scrapes SET complete = 'many' WHERE info_hash = ?", (make.torrent(1),))
        database.execute("UPDATE mirrors SET state = 'lively' WHERE info_hash = ?", (make.torrent(1),))
        database.execute("UPDATE mirrors SET checked_at = 1e300 WHERE info_hash = ?", (make.torrent(2),))
    again = await opens()
    assert (await again.scrapes()).keys() == {make.torrent(0), make.torrent(2)}
    assert [m.info_hash for m in await again.mirrors()] == [make.torrent(0)]


def content(path: Path) -> bytes:
    """The file as it is."""
    return path.read_bytes()


def leave_schema_1(path: Path, make: Any) -> None:
    """What a node of schema 1 left: one view with a holder, one decision's worth of tables."""
    held = make.holder(1)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA_1)
        database.execute("INSERT INTO views VALUES (?, ?, 'dht', NULL)", (make.torrent(1), make.now.timestamp()))
        row = holder_row(make.torrent(1), held)[:12]
        database.execute("INSERT INTO holders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("INSERT INTO node VALUES ('node_id', ?)", (b"-SN0001-abcdefghijkl",))


async def test_a_ledger_of_schema_1_is_brought_up(opens: Any, make: Any, path: Path) -> None:
    """Views, holders and the node id of the older version live on; the new tables are there; the version says so."""
    leave_schema_1(path, make)
    ledger = await opens()
    view = (await ledger.views())[make.torrent(1)]
    assert view.holders == (make.holder(1),)
    assert await ledger.node_id() == b"-SN0001-abcdefghijkl"
    await ledger.remember_mirrors([mirror(make)])
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


async def test_a_reader_reads_schema_1_and_changes_nothing(opens: Any, make: Any, path: Path) -> None:
    """A dry run of this version beside the ledger of an older one: what is not in it is unknown."""
    leave_schema_1(path, make)
    before = content(path)
    reader = await opens(read_only=True)
    assert (await reader.views())[make.torrent(1)].holders == (make.holder(1),)
    assert (await reader.scrapes(), await reader.mirrors()) == ({}, [])
    assert content(path) == before
