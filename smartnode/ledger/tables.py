"""What is stored of swarms and mirrors, as plain calls on an open database; the caller owns thread and transaction.

Bounded: beyond the bound the rows that say the least go first. The volunteer's words alone are never forgotten. A
database of schema 1 (a reader does not bring it up) has no counts of trackers and no mirrors, one of schema 2 no words,
one of schema 3 neither ages of holders nor lies.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror
from smartnode.domain.proof import Lie
from smartnode.domain.swarm import Holder, SwarmView
from smartnode.domain.tenure import Tenure
from smartnode.domain.tracker import Scrape
from smartnode.domain.wishes import Wish, Word
from smartnode.ledger.rows import (
    holder_of,
    holder_row,
    lie_of,
    lie_row,
    mirror_of,
    mirror_row,
    scrape_of,
    scrape_row,
    tenure_of,
    tenure_row,
    view_of,
    view_row,
    wish_of,
    wish_row,
)
from smartnode.ledger.schema import version_of

HOLDERS_MAX = 200  # per swarm, those seen last
NETWORK_SCHEMA: Final = 2
"""The first schema that knows trackers and mirrors."""
WORDS_SCHEMA: Final = 3
"""The first schema that knows the volunteer's words."""
TENURES_SCHEMA: Final = 4
"""The first schema that knows since when holders were seen."""
LIES_SCHEMA: Final = 4
"""The first schema that knows who lied."""

_HOLDERS: Final = (
    "SELECT info_hash, peer_id, host, port, client, smartnode, pieces, num_pieces, first_seen, last_contact,"
    " progressed_at, witness, upload_only, rate FROM holders ORDER BY info_hash, last_contact DESC, peer_id DESC"
)
_HOLDERS_1: Final = _HOLDERS.replace("upload_only, rate", "0, NULL")


def read_views(database: sqlite3.Connection) -> dict[InfoHash, SwarmView]:
    """Return the last view of every swarm."""
    holders: dict[str, list[Holder]] = {}
    for info_hash, *row in database.execute(_HOLDERS if version_of(database) >= NETWORK_SCHEMA else _HOLDERS_1):
        holder = holder_of(tuple(row))
        if holder is not None:
            holders.setdefault(info_hash, []).append(holder)
    rows = database.execute("SELECT info_hash, looked_at, witness, mirrors FROM views").fetchall()
    found = (view_of(row, tuple(holders.get(row[0], ()))) for row in rows)
    return {view.info_hash: view for view in found if view is not None}


def write_views(database: sqlite3.Connection, views: Sequence[SwarmView], *, keep: int) -> None:
    """Store views, each replacing the older one of its swarm; at most *keep* views and holders stay."""
    for view in views:
        last = sorted(view.holders, key=lambda h: (h.last_contact, h.peer_id), reverse=True)[:HOLDERS_MAX]
        database.execute("INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)", view_row(view))
        database.execute("DELETE FROM holders WHERE info_hash = ?", (view.info_hash,))
        database.executemany(
            "INSERT OR IGNORE INTO holders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [holder_row(view.info_hash, holder) for holder in last],
        )
    _forget_swarms(database, keep=keep)


def read_scrapes(database: sqlite3.Connection) -> dict[InfoHash, Scrape]:
    """Return what trackers counted last of every swarm."""
    if version_of(database) < NETWORK_SCHEMA:
        return {}
    rows = database.execute(
        "SELECT info_hash, at, complete, incomplete, downloaded, downloaded_before, before_at FROM scrapes"
    )
    return dict(found for found in map(scrape_of, rows) if found is not None)


def write_scrapes(database: sqlite3.Connection, scrapes: Mapping[InfoHash, Scrape], *, keep: int) -> None:
    """Store counts, each replacing the older ones of its swarm; the *keep* newest stay."""
    database.executemany(
        "INSERT OR REPLACE INTO scrapes VALUES (?, ?, ?, ?, ?, ?, ?)",
        [scrape_row(info_hash, scrape) for info_hash, scrape in scrapes.items()],
    )
    database.execute(
        "DELETE FROM scrapes WHERE info_hash IN"
        " (SELECT info_hash FROM scrapes ORDER BY at DESC, info_hash LIMIT -1 OFFSET ?)",
        (keep,),
    )


def read_mirrors(database: sqlite3.Connection) -> list[Mirror]:
    """Return what is known of every web seed."""
    if version_of(database) < NETWORK_SCHEMA:
        return []
    rows = database.execute(
        "SELECT info_hash, url, state, target, reason, checked_at, hashed_at, until, failures, validator FROM mirrors"
    )
    return [mirror for mirror in map(mirror_of, rows) if mirror is not None]


def write_mirrors(database: sqlite3.Connection, mirrors: Iterable[Mirror], *, keep: int) -> None:
    """Store web seeds, each replacing what was known of it; the *keep* that were asked last stay."""
    database.executemany(
        "INSERT OR REPLACE INTO mirrors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [mirror_row(m) for m in mirrors]
    )
    database.execute(
        "DELETE FROM mirrors WHERE (info_hash, url) IN"
        " (SELECT info_hash, url FROM mirrors ORDER BY checked_at DESC, info_hash, url LIMIT -1 OFFSET ?)",
        (keep,),
    )


def read_tenures(database: sqlite3.Connection) -> list[Tenure]:
    """Return since when smartnodes have been seen with what."""
    if version_of(database) < TENURES_SCHEMA:
        return []
    rows = database.execute("SELECT info_hash, peer_id, at, since FROM tenures ORDER BY info_hash, peer_id")
    return [tenure for tenure in map(tenure_of, rows) if tenure is not None]


def write_tenures(database: sqlite3.Connection, seen: Mapping[InfoHash, Sequence[Tenure]], *, keep: int) -> None:
    """Store what replaces all that was known of the same swarms; the *keep* that were seen last stay."""
    for info_hash, tenures in seen.items():
        last = sorted(tenures, key=lambda t: (t.at, t.node), reverse=True)[:HOLDERS_MAX]
        database.execute("DELETE FROM tenures WHERE info_hash = ?", (info_hash,))
        database.executemany("INSERT INTO tenures VALUES (?, ?, ?, ?)", map(tenure_row, last))
    database.execute(
        "DELETE FROM tenures WHERE (info_hash, peer_id) IN"
        " (SELECT info_hash, peer_id FROM tenures ORDER BY at DESC, info_hash, peer_id LIMIT -1 OFFSET ?)",
        (keep,),
    )


def read_wishes(database: sqlite3.Connection) -> list[Wish]:
    """Return every word of the volunteer, by info-hash."""
    if version_of(database) < WORDS_SCHEMA:
        return []
    rows = database.execute("SELECT info_hash, word, item, at FROM words ORDER BY info_hash")
    return [wish for wish in map(wish_of, rows) if wish is not None]


def write_wish(database: sqlite3.Connection, wish: Wish) -> None:
    """Store one word; it replaces what was said of the torrent before."""
    database.execute("INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?)", wish_row(wish))


def forget_wish(database: sqlite3.Connection, info_hash: InfoHash, word: Word) -> None:
    """Take this word about a torrent back; another one stays."""
    database.execute("DELETE FROM words WHERE info_hash = ? AND word = ?", (info_hash, word.value))


def read_lies(database: sqlite3.Connection) -> list[Lie]:
    """Return who lied, in no order."""
    if version_of(database) < LIES_SCHEMA:
        return []
    rows = database.execute("SELECT peer_id, network, at, reason FROM lies")
    return [lie for lie in map(lie_of, rows) if lie is not None]


def write_lies(database: sqlite3.Connection, lies: Iterable[Lie]) -> None:
    """Store who lied in place of what was stored before; the book that they come from is bounded."""
    database.execute("DELETE FROM lies")
    database.executemany("INSERT OR REPLACE INTO lies VALUES (?, ?, ?, ?)", [lie_row(lie) for lie in lies])


def _forget_swarms(database: sqlite3.Connection, *, keep: int) -> None:
    """Keep *keep* views and holders: whole swarms go, those looked at longest ago (or never) first."""
    (rows,) = database.execute("SELECT (SELECT count(*) FROM views) + (SELECT count(*) FROM holders)").fetchone()
    if rows <= keep:
        return
    database.execute(
        "DELETE FROM views WHERE info_hash IN (SELECT info_hash FROM ("
        " SELECT info_hash, sum(1 + (SELECT count(*) FROM holders h WHERE h.info_hash = v.info_hash))"
        " OVER (ORDER BY looked_at DESC NULLS LAST, info_hash) AS running FROM views v) WHERE running > ?)",
        (keep,),
    )
    database.execute("DELETE FROM holders WHERE info_hash NOT IN (SELECT info_hash FROM views)")
