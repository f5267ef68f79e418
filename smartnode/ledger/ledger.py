"""What outlives a cycle, in SQLite: views with their holders, decisions, who this node is. Bounded, durable, small.

One thread owns the connection. A damaged database is set aside and a new one begun: lost observations mean unknown,
and unknown evicts nothing. WAL with synchronous=FULL: what a guard will rely on has reached the disk.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from smartnode.domain.decision import Decision
from smartnode.domain.identity import NODE_ID_LENGTH, NODE_ID_PREFIX, InfoHash, NodeId, node_id
from smartnode.domain.swarm import Holder, SwarmView, Witness
from smartnode.errors import LedgerError
from smartnode.ledger.rows import decision_of, decision_row, holder_of, holder_row, stamp, time_of
from smartnode.ledger.schema import migrate, version_of

DECISIONS_MAX = 5_000
FILE_NAME = "ledger.sqlite"
_BUSY_MS = 5_000
_DAMAGED_MAX = 100
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 32",  # pages: the write-ahead log stays about 128 KiB
    "PRAGMA journal_size_limit = 131072",
    "PRAGMA temp_store = MEMORY",
)
_NODE_ID = "node_id"

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Ledger:
    """The ledger in *path*. *read_only*: for a dry run beside a running node; a missing file then reads as empty."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Nothing is opened before open."""
        self._path = path
        self._read_only = read_only
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._database: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the database, making or migrating it; LedgerError when it is newer or cannot be written."""
        await self._run(self._open)

    async def close(self) -> None:
        """Finish what is under way, fold the write-ahead log in, end the thread."""
        await self._run(self._close)
        self._thread.shutdown()

    async def node_id(self) -> NodeId:
        """Return this node's id, drawn at the first call and kept for good."""
        return await self._run(self._node_id)

    async def known_node_id(self) -> NodeId | None:
        """Return this node's id, None when it never ran."""
        return await self._run(self._known_node_id)

    async def views(self) -> dict[InfoHash, SwarmView]:
        """Return the last view of every swarm."""
        return await self._run(self._views)

    async def remember(self, views: Sequence[SwarmView]) -> None:
        """Store views durably, each replacing the older one of its swarm."""
        await self._run(lambda: self._remember(views))

    async def close_cycle(self, decisions: Sequence[Decision]) -> None:
        """Store decisions durably and forget the oldest beyond 5,000."""
        if decisions:
            await self._run(lambda: self._decide(decisions))

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return past decisions, newest first, of one torrent or of all."""
        return await self._run(lambda: self._decisions(limit, info_hash))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._guarded(work))

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            message = f"{self._path} cannot be used ({error})"
            raise LedgerError(message, cure="free disk space and check its permissions") from error

    def _open(self) -> None:
        if self._read_only:
            if self._path.exists():
                self._database = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
                version_of(self._database)
            return
        try:
            self._database = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._set_aside(error)
            self._database = self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            version_of(database)
            for pragma in _PRAGMAS:
                database.execute(pragma).fetchall()
            migrate(database)
            _require_whole(database)
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside(self, error: Exception) -> None:
        for number in range(_DAMAGED_MAX):
            aside = self._path.with_name(f"ledger.damaged-{number}")
            if not aside.exists():
                break
        else:
            message = f"{self._path} is damaged again and again"
            raise LedgerError(message, cure="check the disk, then remove the files ledger.damaged-*")
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        log.error("ledger.damaged", reason=str(error), set_aside=aside.name)

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
        return None if found is None else node_id(found[0])

    def _views(self) -> dict[InfoHash, SwarmView]:
        if self._database is None:
            return {}
        holders: dict[str, list[Holder]] = {}
        for info_hash, *row in self._database.execute(
            "SELECT info_hash, peer_id, host, port, client, smartnode, pieces, num_pieces, first_seen, last_contact,"
            " progressed_at, witness FROM holders ORDER BY info_hash, last_contact DESC, peer_id DESC"
        ):
            holder = holder_of(tuple(row))
            if holder is not None:
                holders.setdefault(info_hash, []).append(holder)
        return {
            InfoHash(info_hash): SwarmView(
                info_hash=InfoHash(info_hash),
                looked_at=time_of(looked_at),
                witness=Witness(witness) if witness is not None else None,
                holders=tuple(holders.get(info_hash, ())),
                mirrors=mirrors,
            )
            for info_hash, looked_at, witness, mirrors in self._database.execute("SELECT * FROM views")
        }

    def _remember(self, views: Sequence[SwarmView]) -> None:
        database = self._writing()
        with _transaction(database):
            for view in views:
                database.execute(
                    "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)",
                    (view.info_hash, stamp(view.looked_at), view.witness.value if view.witness else None, view.mirrors),
                )
                database.execute("DELETE FROM holders WHERE info_hash = ?", (view.info_hash,))
                database.executemany(
                    "INSERT INTO holders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [holder_row(view.info_hash, holder) for holder in view.holders],
                )

    def _decide(self, decisions: Sequence[Decision]) -> None:
        database = self._writing()
        with _transaction(database):
            database.executemany(
                "INSERT INTO decisions (at, cycle, action, item, info_hash, segments, bytes, rule, because, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [decision_row(d) for d in decisions],
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
            (info_hash, limit),
        )
        return [decision_of(row) for row in rows]

    def _writing(self) -> sqlite3.Connection:
        if self._database is None or self._read_only:
            message = "the ledger is not open for writing"
            raise LedgerError(message)
        return self._database


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Begin, then commit or roll back: sqlite3's own context manager does not begin."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _require_whole(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)
