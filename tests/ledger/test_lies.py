"""Who lied outlives a restart; what is stored is the book as it is now."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from smartnode.domain.proof import Lie
from smartnode.ledger import schema


def lie(make: Any, number: int, *, network: str = "93.184.1.0/24", age: timedelta = timedelta(0)) -> Lie:
    """What peer *number* said."""
    return Lie(peer_id=f"-SN0001-{number:012d}".encode(), network=network, at=make.now - age, reason="other bytes")


async def test_lies_survive_a_restart(opens: Any, make: Any) -> None:
    """Every field comes back; what is remembered next takes the place of it all."""
    ledger = await opens()
    assert await ledger.lies() == []
    told = [lie(make, 1), lie(make, 1, network="2001:db8::/48"), lie(make, 2, age=timedelta(hours=3))]
    await ledger.remember_lies(told)
    await ledger.close()
    again = await opens()
    assert set(await again.lies()) == set(told)
    await again.remember_lies([lie(make, 3)])
    assert await again.lies() == [lie(make, 3)]
    await again.remember_lies([])
    assert await again.lies() == []


async def test_rows_without_sense_are_left_out(opens: Any, make: Any, path: Path) -> None:
    """A peer id that is none, a network that is none, a time that is none: unknown, and no error."""
    ledger = await opens()
    await ledger.remember_lies([lie(make, 1)])
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        for row in ((b"short", "93.184.1.0/24", 1.0), (bytes(20), "nowhere", 1.0), (bytes(20), "93.184.1.0/24", "x")):
            database.execute("INSERT INTO lies VALUES (?, ?, ?, 'why')", row)
        database.commit()
    assert await (await opens()).lies() == [lie(make, 1)]


async def test_a_ledger_of_schema_3_is_brought_up(opens: Any, make: Any, path: Path) -> None:
    """What the older version knew lives on, a reader finds no lies in it, and the node can remember some."""
    with closing(sqlite3.connect(path)) as database:
        for step in (schema._FIRST, schema._SECOND, schema._THIRD):
            for statement in step:
                database.execute(statement)
        database.execute("INSERT INTO node VALUES ('node_id', ?)", (b"-SN0001-abcdefghijkl",))
        database.execute("PRAGMA user_version = 3")
        database.commit()
    reader = await opens(read_only=True)
    assert await reader.lies() == []
    await reader.close()
    ledger = await opens()
    assert await ledger.node_id() == b"-SN0001-abcdefghijkl"
    await ledger.remember_lies([lie(make, 1)])
    assert await ledger.lies() == [lie(make, 1)]
    await ledger.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
