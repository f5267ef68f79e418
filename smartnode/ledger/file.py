"""Opening the ledger's file never loses one silently: a newer one is not touched, a damaged one is set aside, a reader
changes nothing.

A second writer beside the node is a visitor: it waits for its turn, and never sets aside what the node has open.

WAL with synchronous=FULL: what a guard will rely on has reached the disk, and a second process reads at any time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from smartnode.errors import LedgerError
from smartnode.ledger.schema import VERSION, bring_up, version_of

_BUSY_S = 5.0
_DAMAGED_MAX = 10
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 28",  # pages: the write-ahead log stays about 112 KiB
    "PRAGMA journal_size_limit = 114688",
    "PRAGMA temp_store = MEMORY",
)

log = structlog.get_logger(__name__)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open *path*, made or brought to this schema; a damaged file is set aside and an empty one begun.

    sqlite3.Error when it cannot be used, LedgerError when its schema is newer or it is damaged again and again.
    """
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = _set_aside(path)
        log.error("ledger.damaged", reason=str(error), set_aside=aside.name)  # noqa: TRY400 -- no traceback: the cause is outside
        return _connect(path)


def open_visitor(path: Path) -> sqlite3.Connection:
    """Open *path* for writing beside the process that owns it, or for it before its first start.

    sqlite3.Error when it cannot be used or is damaged: it stays where it is; LedgerError when its schema is newer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _connect(path)


def open_reader(path: Path) -> sqlite3.Connection | None:
    """Open *path* for reading only; None when there is nothing in it yet.

    The file may be of an older schema: a reader does not bring it up. Beside a writer it reads as of its last
    transaction. Without one the file is opened as immutable: SQLite would
    leave a -wal and a -shm beside it otherwise.
    """
    if not path.exists():
        return None
    writer = _beside(path, "-wal").exists()
    mode = "mode=ro" if writer else "mode=ro&immutable=1"
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_S
    )
    try:
        if version_of(database):
            return database
    except BaseException:
        database.close()
        raise
    database.close()
    return None


@contextmanager
def transaction(database: sqlite3.Connection, *, writes: bool = True) -> Iterator[None]:
    """Begin, then commit or roll back (sqlite3's own context manager does not begin): all or nothing is written, and
    all reads inside see one state, whatever another process writes meanwhile.
    """
    database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite has rolled back by itself when the disk is full
            database.execute("ROLLBACK")
        raise


def _connect(path: Path) -> sqlite3.Connection:
    reader = open_reader(path)  # a newer ledger is refused before anything could be written to it
    if reader is not None:
        with closing(reader):
            _require_whole(reader)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    try:
        for pragma in _PRAGMAS:
            database.execute(pragma).fetchall()
        if version_of(database) < VERSION:
            with transaction(database):
                bring_up(database)
    except BaseException:
        database.close()
        raise
    return database


def _require_whole(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _set_aside(path: Path) -> Path:
    aside = next((a for n in range(_DAMAGED_MAX) if not (a := path.with_name(f"ledger.damaged-{n}")).exists()), None)
    if aside is None:
        message = f"{path} is damaged again and again"
        raise LedgerError(message, cure="check the disk, then remove the files ledger.damaged-*")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)
    return aside


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
