"""A full disk and a killed process cost what was under way, never what was acknowledged."""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smartnode.errors import LedgerError
from smartnode.ledger.ledger import Ledger


async def test_a_full_disk_is_an_error_and_costs_only_what_did_not_fit(opens: Any, make: Any) -> None:
    """SQLITE_FULL: LedgerError; what was stored before is there, the failed transaction left nothing behind, and once
    there is room again the same ledger goes on.
    """
    ledger = await opens()
    await ledger.remember([make.view(1)])
    (pages,) = ledger._database.execute("PRAGMA page_count").fetchone()
    ledger._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(LedgerError, match=r"full.*; free disk space"):
        await ledger.remember([make.view(1, holders=0), *(make.view(n, holders=100) for n in range(2, 9))])
    assert await ledger.views() == {make.torrent(1): make.view(1)}
    ledger._database.execute("PRAGMA max_page_count = 1000000")
    await ledger.remember([make.view(2)])
    assert len(await ledger.views()) == 2


async def test_a_disk_that_takes_no_more_bytes_is_an_error(opens: Any, make: Any) -> None:
    """The kernel refuses a write (EFBIG, as a quota would): LedgerError, whole transactions only, and life goes on."""
    ledger = await opens()
    await ledger.close_cycle([make.decision(n) for n in range(200)])
    stored = 0
    with files_no_larger_than(400_000):
        while stored < 10_000:
            try:
                await ledger.close_cycle([make.decision(stored) for _ in range(100)])
            except LedgerError as error:
                assert "free disk space" in str(error)  # noqa: PT017 -- how many fit before is not known
                break
            stored += 100
    assert 0 < stored < 10_000
    assert len(await ledger.decisions(limit=5_000)) == 200 + stored
    await ledger.close_cycle([make.decision(1)])
    assert len(await ledger.decisions(limit=5_000)) == 201 + stored


async def test_a_disk_without_room_at_the_first_start_is_an_error(path: Path) -> None:
    """Not one byte can be written: LedgerError; once there is room the ledger opens."""
    with files_no_larger_than(0):
        ledger = Ledger(path)
        with pytest.raises(LedgerError, match="free disk space"):
            await ledger.open()
    again = Ledger(path)
    await again.open()
    assert await again.views() == {}
    await again.close()


async def test_an_error_inside_a_transaction_undoes_it(opens: Any, make: Any) -> None:
    """Whatever goes wrong between begin and commit, nothing of it stays and the next transaction can begin."""
    ledger = await opens()
    await ledger.remember([make.view(1)])
    too_many = replace(make.view(2), mirrors=1 << 70)
    with pytest.raises(OverflowError):
        await ledger.remember([make.view(1, holders=0), too_many])
    assert await ledger.views() == {make.torrent(1): make.view(1)}
    await ledger.remember([make.view(3)])


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """RLIMIT_FSIZE for this process; Python ignores its signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


_WRITER = """
import asyncio, sys
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from smartnode.ledger.ledger import Ledger
spec = spec_from_file_location("made", sys.argv[2])
made = module_from_spec(spec)
spec.loader.exec_module(made)

async def write():
    make, ledger = made.Makes(), Ledger(Path(sys.argv[1]))
    await ledger.open()
    for cycle in range(100_000):
        at = make.now + timedelta(seconds=cycle)
        await ledger.remember([make.view(n, holders=cycle % 7, looked_at=at) for n in range(8)])
        await ledger.close_cycle([make.decision(cycle) for _ in range(5)])
        print(cycle, flush=True)

asyncio.run(write())
"""


def write_until_killed(path: Path, *, acknowledgements: int) -> int:
    """A process writes cycles and is killed in the middle; returns the last cycle that it acknowledged."""
    made = Path(__file__).with_name("conftest.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(made)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(acknowledgements)]
        writer.kill()
        said += [int(line) for line in writer.stdout if line.endswith("\n")]
    return max(said)


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_writer_leaves_whole_transactions(opens: Any, make: Any, path: Path, seed: int) -> None:
    """After kill -9 every view is of one and the same cycle with all its holders, decisions are whole batches, and
    nothing that was acknowledged is missing.
    """
    acknowledged = write_until_killed(path, acknowledgements=random.Random(seed).randint(3, 40))
    for read_only in (True, False):
        ledger = await opens(read_only=read_only)
        views = await ledger.views()
        assert views.keys() == {make.torrent(n) for n in range(8)}
        (looked_at,) = {view.looked_at for view in views.values()}
        cycle = int((looked_at - make.now).total_seconds())
        assert {len(view.holders) for view in views.values()} == {cycle % 7}
        decisions = await ledger.decisions(limit=5_000)
        assert len(decisions) % 5 == 0
        assert cycle >= acknowledged
        assert decisions[0].cycle >= acknowledged
        await ledger.close()
