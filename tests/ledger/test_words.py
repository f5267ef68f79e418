"""The volunteer's words: said by one process, heard by another, never forgotten; older ledgers are brought up."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.wishes import Wish, Word
from smartnode.errors import ExitCode, LedgerError
from smartnode.ledger import schema
from smartnode.ledger.file import transaction
from smartnode.ledger.ledger import FILE_NAME, Ledger


def wish(make: Any, number: int = 1, word: Word = Word.PINNED) -> Wish:
    """One word about torrent *number*."""
    return Wish(info_hash=make.torrent(number), word=word, item=f"c/item{number}", at=make.now)


def content(path: Path) -> bytes:
    """The file as it is."""
    return path.read_bytes()


def cut_short(path: Path) -> bytes:
    """Damage the file; returns what it holds now."""
    damaged = path.read_bytes()[:5000]
    path.write_bytes(damaged)
    return damaged


async def visiting(path: Path) -> Ledger:
    """A ledger as the command line opens it."""
    ledger = Ledger(path, visitor=True)
    await ledger.open()
    return ledger


async def test_words_survive_a_restart(opens: Any, make: Any) -> None:
    """Every field comes back; a word replaces the one before, and only the word that stands is taken back."""
    ledger = await opens()
    await ledger.say(wish(make, 1))
    await ledger.say(wish(make, 2))
    await ledger.say(wish(make, 2, Word.EXCLUDED))
    await ledger.say(wish(make, 3))
    await ledger.take_back(make.torrent(2), Word.PINNED)
    await ledger.take_back(make.torrent(3), Word.PINNED)
    await ledger.take_back(make.torrent(4), Word.EXCLUDED)
    await ledger.close()
    again = await opens()
    assert list(await again.wishes()) == [wish(make, 1), wish(make, 2, Word.EXCLUDED)]


async def test_words_are_not_bounded(path: Path, make: Any) -> None:
    """Views and counts are forgotten beyond their bounds, what the volunteer said is not."""
    ledger = Ledger(path, rows_max=3)
    await ledger.open()
    for number in range(20):
        await ledger.say(wish(make, number))
    await ledger.remember([make.view(n) for n in range(5)])
    assert len(await ledger.wishes()) == 20
    await ledger.close()


async def test_a_visitor_speaks_beside_the_node(opens: Any, make: Any, path: Path) -> None:
    """The node hears at its next question what another writer said meanwhile, and both go on writing."""
    node = await opens()
    await node.remember([make.view(1)])
    visitor = await visiting(path)
    await visitor.say(wish(make))
    assert list(await node.wishes()) == [wish(make)]
    await node.close_cycle([make.decision(1)])
    await visitor.take_back(make.torrent(1), Word.PINNED)
    await visitor.close()
    assert list(await node.wishes()) == []
    assert len(await node.views()) == 1


async def test_a_visitor_waits_for_its_turn(opens: Any, make: Any, path: Path) -> None:
    """A word that is said while another process is in the middle of its transaction is not lost and no error."""
    await (await opens()).close()
    visitor = await visiting(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        with transaction(other):
            saying = asyncio.ensure_future(visitor.say(wish(make)))
            done, _ = await asyncio.wait({saying}, timeout=0.3)
            assert not done
        await saying
    assert list(await visitor.wishes()) == [wish(make)]
    await visitor.close()


async def test_a_visitor_comes_before_the_first_start(tmp_path: Path, make: Any) -> None:
    """Without a ledger, without its folder: the word makes them, draws no node id, and the node hears it."""
    path = tmp_path / "state" / FILE_NAME
    visitor = await visiting(path)
    await visitor.say(wish(make))
    assert await visitor.known_node_id() is None
    await visitor.close()
    assert [file.name for file in path.parent.iterdir()] == [FILE_NAME]
    node = Ledger(path)
    await node.open()
    assert list(await node.wishes()) == [wish(make)]
    await node.close()


async def test_a_visitor_never_sets_a_ledger_aside(opens: Any, make: Any, path: Path) -> None:
    """A damaged file belongs to the node: the visitor says so with exit 5, and leaves every byte where it is."""
    ledger = await opens()
    await ledger.remember([make.view(n, holders=20) for n in range(20)])
    await ledger.close()
    damaged = cut_short(path)
    with pytest.raises(LedgerError) as caught:
        await visiting(path)
    assert caught.value.exit_code is ExitCode.STORAGE
    assert content(path) == damaged
    assert not list(path.parent.glob("ledger.damaged-*"))


async def test_a_reader_says_nothing(opens: Any, make: Any) -> None:
    """Through a reader no word is written or taken back."""
    await (await opens()).close()
    reader = await opens(read_only=True)
    for refused in (reader.say(wish(make)), reader.take_back(make.torrent(1), Word.PINNED)):
        with pytest.raises(LedgerError, match="not open for writing"):
            await refused


async def test_words_that_make_no_sense_are_left_out(opens: Any, make: Any, path: Path) -> None:
    """Nonsense in a whole database is no word; the good ones live."""
    ledger = await opens()
    for number in range(4):
        await ledger.say(wish(make, number))
    await ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE words SET word = 'adored' WHERE info_hash = ?", (make.torrent(1),))
        database.execute("UPDATE words SET at = 1e300 WHERE info_hash = ?", (make.torrent(2),))
        database.execute("UPDATE words SET info_hash = 'nobody' WHERE info_hash = ?", (make.torrent(3),))
    assert list(await (await opens()).wishes()) == [wish(make, 0)]


def leave_schema_2(path: Path, make: Any) -> None:
    """What a node of schema 2 left: its tables as that version made them, and a count of a tracker."""
    with closing(sqlite3.connect(path)) as database, database:
        for step in (schema._FIRST, schema._SECOND):
            for statement in step:
                database.execute(statement)
        database.execute("PRAGMA user_version = 2")
        at = (make.now - timedelta(hours=1)).timestamp()
        database.execute("INSERT INTO scrapes VALUES (?, ?, 3, NULL, 7, NULL, NULL)", (make.torrent(1), at))
        database.execute("INSERT INTO node VALUES ('node_id', ?)", (b"-SN0001-abcdefghijkl",))


@pytest.mark.parametrize("visitor", [False, True])
async def test_a_ledger_of_schema_2_is_brought_up(make: Any, path: Path, *, visitor: bool) -> None:
    """What the older version knew lives on, words can be said, and the version says so; by the node or a visitor."""
    leave_schema_2(path, make)
    ledger = Ledger(path, visitor=visitor)
    await ledger.open()
    assert (await ledger.scrapes())[make.torrent(1)].complete == 3
    assert await ledger.node_id() == b"-SN0001-abcdefghijkl"
    await ledger.say(wish(make))
    assert list(await ledger.wishes()) == [wish(make)]
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


async def test_a_reader_of_schema_2_hears_no_word(opens: Any, make: Any, path: Path) -> None:
    """A dry run beside the ledger of an older version changes nothing and finds no word in it."""
    leave_schema_2(path, make)
    before = content(path)
    reader = await opens(read_only=True)
    assert list(await reader.wishes()) == []
    assert content(path) == before


_VISITOR = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from smartnode.domain.identity import InfoHash
from smartnode.domain.wishes import Wish, Word
from smartnode.ledger.ledger import Ledger

async def say():
    ledger = Ledger(Path(sys.argv[1]), visitor=True)
    await ledger.open()
    for number in range(100_000):
        name = InfoHash(f"{number:040x}")
        await ledger.say(Wish(info_hash=name, word=Word.PINNED, item=name, at=datetime.now(UTC)))
        print(number, flush=True)

asyncio.run(say())
"""


def speak_until_killed(path: Path) -> int:
    """A visitor says word after word and is killed; returns the last one that was acknowledged."""
    with subprocess.Popen([sys.executable, "-c", _VISITOR, str(path)], stdout=subprocess.PIPE, text=True) as visitor:
        assert visitor.stdout is not None
        said = [int(visitor.stdout.readline()) for _ in range(20)]
        visitor.kill()
        said += [int(line) for line in visitor.stdout if line.endswith("\n")]
    return max(said)


async def test_a_word_that_was_acknowledged_is_durable(opens: Any, path: Path) -> None:
    """A visitor that is killed leaves every word that it was told is stored, and the node beside it goes on."""
    node = await opens()
    last = speak_until_killed(path)
    assert len(await node.wishes()) in {last + 1, last + 2}
    await node.node_id()
