"""What outlives a cycle, in SQLite: what was seen of swarms and mirrors, who lied, decisions, the volunteer's words,
who this node is. Durable, and bounded but for the words.

One thread owns the connection. A damaged database is set aside and a new one begun: lost observations mean unknown,
and unknown evicts nothing. Beyond the bounds a whole swarm is forgotten, the one looked at longest ago first: a view
that lost its holders would claim that there are none.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from smartnode.domain.decision import Decision
from smartnode.domain.identity import NODE_ID_LENGTH, NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.domain.mirror import Mirror
from smartnode.domain.proof import Lie
from smartnode.domain.swarm import SwarmView
from smartnode.domain.tenure import Tenure
from smartnode.domain.tracker import Scrape
from smartnode.domain.wishes import Wish, Word
from smartnode.errors import LedgerError
from smartnode.ledger.file import open_reader, open_visitor, open_writer, transaction
from smartnode.ledger.rows import decision_of, decision_row
from smartnode.ledger.tables import (
    forget_wish,
    read_lies,
    read_mirrors,
    read_scrapes,
    read_tenures,
    read_views,
    read_wishes,
    write_lies,
    write_mirrors,
    write_scrapes,
    write_tenures,
    write_views,
    write_wish,
)

FILE_NAME = "ledger.sqlite"
DECISIONS_MAX = 5_000
ROWS_MAX = 50_000  # views and holders together; counts of trackers; mirrors; ages of holders
_NODE_ID = "node_id"

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Ledger:
    """The ledger in *path*. *read_only*: for a dry run beside a running node; a missing file then reads as empty.
    *visitor*: for a word of the volunteer beside a running node, or before its first start. *rows_max*: how many views
    and holders are kept in all, how many counts of trackers, how many mirrors, how many ages of holders.
    """

    def __init__(self, path: Path, *, read_only: bool = False, visitor: bool = False, rows_max: int = ROWS_MAX) -> None:
        """Nothing is opened before open."""
        self._rows_max = rows_max
        self._path = path
        self._read_only = read_only
        self._visitor = visitor
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._database: sqlite3.Connection | None = None
        self._closed = False

    async def open(self) -> None:
        """Open the database, making or migrating it; LedgerError when it is newer or cannot be used."""
        try:
            await self._run(self._open)
        except LedgerError:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way, fold the write-ahead log in, end the thread; the second time nothing happens."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def node_id(self) -> NodeId:
        """Return this node's id, drawn at the first call and kept for good."""
        return await self._run(self._node_id)

    async def known_node_id(self) -> NodeId | None:
        """Return this node's id, None when it never ran."""
        return await self._run(self._known_node_id)

    async def views(self) -> dict[InfoHash, SwarmView]:
        """Return the last view of every swarm."""
        return await self._run(lambda: self._read(read_views, {}))

    async def remember(self, views: Sequence[SwarmView]) -> None:
        """Store views durably, all or none, each replacing the older one of its swarm."""
        if views:
            await self._run(lambda: self._write(lambda db: write_views(db, views, keep=self._rows_max)))

    async def scrapes(self) -> dict[InfoHash, Scrape]:
        """Return what trackers counted last of every swarm."""
        return await self._run(lambda: self._read(read_scrapes, {}))

    async def remember_scrapes(self, scrapes: Mapping[InfoHash, Scrape]) -> None:
        """Store counts durably, all or none, each replacing the older ones of its swarm."""
        if scrapes:
            await self._run(lambda: self._write(lambda db: write_scrapes(db, scrapes, keep=self._rows_max)))

    async def mirrors(self) -> Sequence[Mirror]:
        """Return what is known of every web seed."""
        return await self._run(lambda: self._read(read_mirrors, []))

    async def remember_mirrors(self, mirrors: Sequence[Mirror]) -> None:
        """Store web seeds durably, all or none, each replacing what was known of it."""
        if mirrors:
            await self._run(lambda: self._write(lambda db: write_mirrors(db, mirrors, keep=self._rows_max)))

    async def tenures(self) -> Sequence[Tenure]:
        """Return since when smartnodes have been seen with what."""
        return await self._run(lambda: self._read(read_tenures, []))

    async def remember_tenures(self, seen: Mapping[InfoHash, Sequence[Tenure]]) -> None:
        """Store durably, all or none, who was seen with what since when; it replaces what was known of each swarm."""
        if seen:
            await self._run(lambda: self._write(lambda db: write_tenures(db, seen, keep=self._rows_max)))

    async def lies(self) -> Sequence[Lie]:
        """Return who lied."""
        return await self._run(lambda: self._read(read_lies, []))

    async def remember_lies(self, lies: Sequence[Lie]) -> None:
        """Store who lied durably, all or none, in place of what was stored before."""
        await self._run(lambda: self._write(lambda db: write_lies(db, lies)))

    async def wishes(self) -> Sequence[Wish]:
        """Return every word of the volunteer, also those that another process has just said."""
        return await self._run(lambda: self._read(read_wishes, []))

    async def say(self, wish: Wish) -> None:
        """Store a word durably; it replaces what was said of its torrent before."""
        await self._run(lambda: self._write(lambda db: write_wish(db, wish)))

    async def take_back(self, info_hash: InfoHash, word: Word) -> None:
        """Forget *word* about a torrent durably; another word about it stays."""
        await self._run(lambda: self._write(lambda db: forget_wish(db, info_hash, word)))

    async def close_cycle(self, decisions: Sequence[Decision]) -> None:
        """Store decisions durably, all or none, and forget the oldest beyond 5,000."""
        if decisions:
            await self._run(lambda: self._decide(decisions))

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return at most *limit* past decisions, newest first, of one torrent or of all."""
        return await self._run(lambda: self._decisions(limit, info_hash))

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            under_way = loop.run_in_executor(self._thread, lambda: self._guarded(work))
        except RuntimeError as error:  # the thread has ended
            message = "the ledger is closed"
            raise LedgerError(message) from error
        return await under_way

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            message = f"{self._path} cannot be used ({error})"
            raise LedgerError(message, cure="free disk space and check its permissions") from error

    def _open(self) -> None:
        if self._visitor:
            self._database = open_visitor(self._path)
        else:
            self._database = open_reader(self._path) if self._read_only else open_writer(self._path)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _node_id(self) -> NodeId:
        known = self._known_node_id()
        if known is not None:
            return known
        drawn = NodeId(NODE_ID_PREFIX + os.urandom(NODE_ID_LENGTH - len(NODE_ID_PREFIX)))
        self._writing().execute("INSERT OR REPLACE INTO node VALUES (?, ?)", (_NODE_ID, bytes(drawn)))
        return drawn

    def _known_node_id(self) -> NodeId | None:
        if self._database is None:
            return None
        found = self._database.execute("SELECT value FROM node WHERE key = ?", (_NODE_ID,)).fetchone()
        try:
            return None if found is None else node_id(found[0])
        except (ValueError, TypeError):
            log.warning("ledger.node_id_damaged")
            return None

    def _read(self, read: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """Return what *read* finds in one state of the database; *nothing* where there is no ledger yet."""
        if self._database is None:
            return nothing
        with transaction(self._database, writes=False):
            return read(self._database)

    def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        database = self._writing()
        with transaction(database):
            write(database)

    def _decide(self, decisions: Sequence[Decision]) -> None:
        database = self._writing()
        with transaction(database):
            database.executemany(
                "INSERT INTO decisions (at, cycle, action, item, info_hash, segments, bytes, rule, because, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [decision_row(d) for d in decisions[-DECISIONS_MAX:]],
            )
            database.execute(
                "DELETE FROM decisions WHERE number <= (SELECT max(number) FROM decisions) - ?", (DECISIONS_MAX,)
            )

    def _decisions(self, limit: int, info_hash: InfoHash | None) -> list[Decision]:
        if self._database is None:
            return []
        rows = self._database.execute(
            "SELECT at, cycle, action, item, info_hash, segments, bytes, rule, because, outcome FROM decisions"
            " WHERE ?1 IS NULL OR info_hash = ?1 ORDER BY number DESC LIMIT ?2",
            (info_hash, min(max(limit, 0), DECISIONS_MAX)),
        )
        return [decision for decision in map(decision_of, rows) if decision is not None]

    def _writing(self) -> sqlite3.Connection:
        if self._database is None or self._read_only:
            message = "the ledger is not open for writing"
            raise LedgerError(message)
        return self._database
