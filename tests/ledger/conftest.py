"""Views, holders and decisions as a node would see them, and ledgers that are closed again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.ledger.ledger import FILE_NAME, Ledger

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


class Makes:
    """Domain values, numbered."""

    now = NOW

    def torrent(self, number: int) -> InfoHash:
        """The info-hash *number*."""
        return InfoHash(f"{number:040x}")

    def holder(self, number: int, *, age: timedelta = timedelta(0), pieces: Bitfield | None = None) -> Holder:
        """The peer *number*, last heard of *age* ago."""
        return Holder(
            address=Address(host=f"192.0.2.{number % 250 + 1}", port=6881),
            peer_id=f"-SN0001-{number:012d}".encode(),
            client="smartnode/0.1.0 (d4c/1)" if number % 2 else None,
            smartnode=bool(number % 2),
            pieces=pieces if pieces is not None else Bitfield.from_indices([number % 100], 100),
            first_seen=NOW - age - timedelta(hours=1),
            last_contact=NOW - age,
            progressed_at=NOW - age if number % 3 else None,
            witness=Witness.PEER_INFO if number % 2 else Witness.WIRE_PROBE,
        )

    def view(self, number: int, *, holders: int = 3, looked_at: datetime | None = NOW) -> SwarmView:
        """The view of torrent *number*; its holders stand as the ledger gives them back, newest first."""
        return SwarmView(
            info_hash=self.torrent(number),
            looked_at=looked_at,
            witness=Witness.WIRE_PROBE if looked_at else None,
            holders=tuple(self.holder(n, age=timedelta(seconds=n)) for n in range(holders)),
            mirrors=number % 3 or None,
        )

    def decision(self, number: int, *, torrent: InfoHash | None = None) -> Decision:
        """The decision *number*, with texts as long as real ones."""
        return Decision(
            at=NOW + timedelta(seconds=number),
            cycle=number,
            action="fetch",
            item=f"orthoimagery/ca-qc-sherbrooke-2024-{number}",
            info_hash=torrent,
            segments=3,
            bytes=3 << 30,
            rule="at_risk",
            because="seen 12 min ago by wire_probe: 0 copies of 3 segments, 1 live mirror; coverage 0.5 is below 1.83",
            outcome="started",
        )


Opens = Callable[..., Awaitable[Ledger]]


@pytest.fixture
def make() -> Makes:
    """Numbered domain values."""
    return Makes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The ledger's file in an empty state folder."""
    return tmp_path / FILE_NAME


@pytest.fixture
async def opens(path: Path) -> AsyncIterator[Opens]:
    """Open the ledger as often as asked; all are closed at the end."""
    opened: list[Ledger] = []

    async def opening(*, read_only: bool = False) -> Ledger:
        ledger = Ledger(path, read_only=read_only)
        opened.append(ledger)
        await ledger.open()
        return ledger

    yield opening
    for ledger in opened:
        await ledger.close()
