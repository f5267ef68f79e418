"""The ledger's tables, by version: a newer database is never touched, an older one is brought up in one transaction.

No index but the keys: 5,000 decisions are read whole in milliseconds, and the state counts against the quota.
"""

import sqlite3

from smartnode.errors import LedgerError

VERSION = 4

_FIRST = (
    "CREATE TABLE node (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE views (
        info_hash TEXT PRIMARY KEY,
        looked_at REAL,
        witness TEXT,
        mirrors INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE holders (
        info_hash TEXT NOT NULL,
        peer_id BLOB NOT NULL,
        host TEXT NOT NULL,
        port INTEGER NOT NULL,
        client TEXT,
        smartnode INTEGER NOT NULL,
        pieces BLOB NOT NULL,
        num_pieces INTEGER NOT NULL,
        first_seen REAL NOT NULL,
        last_contact REAL NOT NULL,
        progressed_at REAL,
        witness TEXT NOT NULL,
        PRIMARY KEY (info_hash, peer_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE decisions (
        number INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        cycle INTEGER NOT NULL,
        action TEXT NOT NULL,
        item TEXT NOT NULL,
        info_hash TEXT,
        segments INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        rule TEXT NOT NULL,
        because TEXT NOT NULL,
        outcome TEXT NOT NULL
    )""",
)

_SECOND = (
    "ALTER TABLE holders ADD COLUMN upload_only INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE holders ADD COLUMN rate REAL",
    """CREATE TABLE scrapes (
        info_hash TEXT PRIMARY KEY,
        at REAL NOT NULL,
        complete INTEGER,
        incomplete INTEGER,
        downloaded INTEGER,
        downloaded_before INTEGER,
        before_at REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE mirrors (
        info_hash TEXT NOT NULL,
        url TEXT NOT NULL,
        state TEXT NOT NULL,
        target TEXT NOT NULL,
        reason TEXT NOT NULL,
        checked_at REAL NOT NULL,
        hashed_at REAL,
        until REAL,
        failures INTEGER NOT NULL,
        validator TEXT,
        PRIMARY KEY (info_hash, url)
    ) WITHOUT ROWID""",
)

_THIRD = (
    """CREATE TABLE words (
        info_hash TEXT PRIMARY KEY,
        word TEXT NOT NULL,
        item TEXT NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID""",
)

_FOURTH = (
    """CREATE TABLE tenures (
        info_hash TEXT NOT NULL,
        peer_id BLOB NOT NULL,
        at REAL NOT NULL,
        since BLOB NOT NULL,
        PRIMARY KEY (info_hash, peer_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE lies (
        peer_id BLOB NOT NULL,
        network TEXT NOT NULL,
        at REAL NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (peer_id, network)
    ) WITHOUT ROWID""",
)

_STEPS = (_FIRST, _SECOND, _THIRD, _FOURTH)
"""Step n brings a database of schema n to n + 1; a step that was released is never changed."""


def version_of(database: sqlite3.Connection) -> int:
    """Return the schema's version, 0 for an empty database; LedgerError when it is newer than this program."""
    found = int(database.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        message = f"the ledger has schema {found}, this version knows {VERSION}"
        raise LedgerError(message, cure="run the newer smartnode that wrote it, or move the ledger away")
    return found


def bring_up(database: sqlite3.Connection) -> None:
    """Bring the tables from whatever version they are to this one; inside the caller's transaction."""
    for step in _STEPS[version_of(database) :]:
        for statement in step:
            database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")
