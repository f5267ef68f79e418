"""Where readers find the node: one published status, swapped whole, and the ledger's decisions."""

from collections.abc import Sequence
from typing import Protocol

from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash
from smartnode.domain.status import NodeStatus


class Board(Protocol):
    """What the API may read; never the engine."""

    def status(self) -> NodeStatus:
        """Return the last published status."""
        ...

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return past decisions, newest first, of one torrent or of all."""
        ...
