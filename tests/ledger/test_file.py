"""The file: refused when newer, set aside when damaged, readable beside a writer and after a crash."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from smartnode.errors import ExitCode, LedgerError
from smartnode.ledger.ledger import Ledger
from smartnode.ledger.schema import VERSION


def folder(path: Path) -> dict[str, bytes]:
    """Every file of the state folder with its content."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


async def filled(opens: Any, make: Any) -> None:
    """A closed ledger with a few pages in it."""
    ledger = await opens()
    await ledger.node_id()
    await ledger.remember([make.view(n, holders=20) for n in range(20)])
    await ledger.close_cycle([make.decision(n) for n in range(200)])
    await ledger.close()


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_newer_schema_is_refused_and_not_touched(opens: Any, make: Any, path: Path, *, read_only: bool) -> None:
    """LedgerError names the cure; the file is the same, byte for byte, and nothing lies beside it."""
    await filled(opens, make)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = folder(path)
    with pytest.raises(
        LedgerError, match=f"schema {VERSION + 1}, this version knows {VERSION}; run the newer smartnode"
    ) as caught:
        await opens(read_only=read_only)
    assert caught.value.exit_code is ExitCode.STORAGE
    assert folder(path) == before


def leave_newer(path: Path) -> None:
    """A newer node was killed with its schema still in the write-ahead log."""
    script = (
        "import os, signal, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA journal_mode = WAL')\n"
        "database.execute('CREATE TABLE newer (x)')\n"
        f"database.execute('PRAGMA user_version = {VERSION + 1}')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)


async def test_a_newer_schema_with_an_unfinished_log_is_not_touched(path: Path) -> None:
    """What a killed newer node left in its write-ahead log is not folded in: the file is the same, byte for byte."""
    leave_newer(path)
    before = folder(path)
    ledger = Ledger(path)
    with pytest.raises(LedgerError, match="newer"):
        await ledger.open()
    after = folder(path)
    assert before[path.name] == after[path.name]
    assert before[path.name + "-wal"] == after[path.name + "-wal"]


def spoil(path: Path, harm: Callable[[bytes], bytes]) -> bytes:
    """Damage the file; returns what it holds now."""
    damaged = harm(path.read_bytes() if path.exists() else b"")
    path.write_bytes(damaged)
    return damaged


def cut_short(raw: bytes) -> bytes:
    """The second half is missing."""
    return raw[: len(raw) // 2]


def scribbled(raw: bytes) -> bytes:
    """Every page but the first is noise."""
    return raw[:4096] + random.Random(7).randbytes(len(raw) - 4096)


def foreign(raw: bytes) -> bytes:
    """Another file altogether."""
    return b"<html>" * (len(raw) // 6)


@pytest.mark.parametrize("harm", [cut_short, scribbled, foreign])
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    opens: Any, make: Any, path: Path, harm: Callable[[bytes], bytes]
) -> None:
    """The node goes on with no observations, the damaged bytes are kept, and the log says it."""
    await filled(opens, make)
    damaged = spoil(path, harm)
    with capture_logs() as said:
        ledger = await opens()
    assert [(entry["event"], entry["set_aside"]) for entry in said] == [("ledger.damaged", "ledger.damaged-0")]
    assert path.with_name("ledger.damaged-0").read_bytes() == damaged
    assert await ledger.views() == {}
    await ledger.remember([make.view(1)])
    assert len(await ledger.views()) == 1


async def test_a_file_that_is_damaged_again_and_again_is_an_error(path: Path) -> None:
    """Ten are set aside, then a person has to look at the disk; the earlier ones are never overwritten."""
    for number in range(10):
        damaged = spoil(path, lambda _, fill=b"%d" % number: fill * 4096)  # type: ignore[misc]
        ledger = Ledger(path)
        await ledger.open()
        await ledger.close()
        assert path.with_name(f"ledger.damaged-{number}").read_bytes() == damaged
    spoil(path, lambda _: b"x" * 4096)
    with pytest.raises(LedgerError, match=r"again and again; check the disk"):
        await Ledger(path).open()


async def test_rows_that_make_no_sense_are_left_out(opens: Any, make: Any, path: Path) -> None:
    """What a whole database says in nonsense is unknown; the good rows live, and a new node id is drawn."""
    await filled(opens, make)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE views SET witness = 'oracle' WHERE info_hash = ?", (make.torrent(1),))
        database.execute("UPDATE views SET looked_at = 'noon' WHERE info_hash = ?", (make.torrent(2),))
        database.execute("UPDATE views SET info_hash = 'nobody' WHERE info_hash = ?", (make.torrent(3),))
        database.execute("UPDATE holders SET pieces = 'none' WHERE info_hash = ?", (make.torrent(4),))
        database.execute("UPDATE holders SET num_pieces = 3 WHERE info_hash = ?", (make.torrent(5),))
        database.execute("UPDATE holders SET last_contact = 1e300 WHERE info_hash = ?", (make.torrent(6),))
        database.execute("UPDATE decisions SET at = 'noon' WHERE cycle = 7")
        database.execute("UPDATE node SET value = 'short'")
    ledger = await opens()
    views = await ledger.views()
    assert views.keys() == {make.torrent(n) for n in range(20) if n not in (1, 2, 3)}
    assert [views[make.torrent(n)].holders for n in (4, 5, 6)] == [(), (), ()]
    assert len(views[make.torrent(7)].holders) == 20
    assert [d.cycle for d in await ledger.decisions(limit=999)] == [n for n in range(199, -1, -1) if n != 7]
    assert await ledger.known_node_id() is None
    assert await ledger.node_id() == await ledger.known_node_id()


async def test_a_reader_of_a_missing_file_sees_nothing_and_makes_nothing(opens: Any, path: Path) -> None:
    """A dry run on a host that never ran a node."""
    reader = await opens(read_only=True)
    assert (await reader.views(), await reader.decisions(limit=9), await reader.known_node_id()) == ({}, [], None)
    with pytest.raises(LedgerError, match="not open for writing"):
        await reader.node_id()
    assert folder(path) == {}


async def test_a_reader_of_a_file_without_tables_sees_nothing(opens: Any, path: Path) -> None:
    """A node that was killed before its first transaction left an empty file."""
    spoil(path, lambda _: b"")
    assert await (await opens(read_only=True)).views() == {}
    assert await (await opens()).views() == {}


async def test_a_reader_changes_nothing(opens: Any, make: Any, path: Path) -> None:
    """After reading a closed ledger the folder is as it was; writing through a reader is refused."""
    await filled(opens, make)
    before = folder(path)
    reader = await opens(read_only=True)
    assert len(await reader.views()) == 20
    for refused in (reader.remember([make.view(1)]), reader.close_cycle([make.decision(1)])):
        with pytest.raises(LedgerError, match="not open for writing"):
            await refused
    await reader.close()
    assert folder(path) == before


async def test_a_reader_reads_beside_a_writer(opens: Any, make: Any) -> None:
    """The dry run sees what the running node stored last, before and after the reader was opened; neither waits."""
    writer = await opens()
    await writer.remember([make.view(1)])
    reader = await opens(read_only=True)
    assert (await reader.views()).keys() == {make.torrent(1)}
    await writer.remember([make.view(2)])
    assert (await reader.views()).keys() == {make.torrent(1), make.torrent(2)}


async def test_a_ledger_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """A folder in its place, or no folder at all: LedgerError with the cure, not sqlite's own."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "ledger.sqlite"):
        ledger = Ledger(path)
        with pytest.raises(LedgerError, match="free disk space and check its permissions"):
            await ledger.open()
