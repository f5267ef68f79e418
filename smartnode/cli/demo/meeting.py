"""Engines of the demo's own process: the private DHT's first node, which holds nothing, and what the proof's client
needs.

The first node is only a meeting point: everybody asks it for neighbours once, nobody gets a byte of data from it.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from smartnode import __version__
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, node_id
from smartnode.engine.session import Engine
from smartnode.engine.settings import EngineSettings

CLIENT = f"smartnode-demo/{__version__}"
NETWORK_ID = "demo"
_RANDOM_BYTES = 12


class Shelf:
    """The client's folder: items lie in it by their info-hash; nothing is ever given back."""

    def __init__(self, folder: Path) -> None:
        """Keep whole and partial items below *folder*."""
        self._folder = folder

    def whole(self, _: ItemKey, info_hash: InfoHash) -> Path:
        """Return where a whole item lies."""
        return self._folder / "whole" / info_hash

    def partial(self, _: ItemKey, info_hash: InfoHash) -> Path:
        """Return where an unfinished item lies."""
        return self._folder / "partial" / info_hash

    def find(self, info_hash: InfoHash) -> Path:
        """Return where the item lies now."""
        whole = self._folder / "whole" / info_hash
        return whole if whole.exists() else self._folder / "partial" / info_hash

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free *runs* of *path* in the only way that the client ever needs: zeros."""
        with path.open("r+b") as file:
            for offset, length in runs:
                file.seek(offset)
                file.write(bytes(length))

    def require_root(self) -> None:
        """The folder is the caller's own: it is always there."""

    def remove_empty(self, folder: Path) -> None:
        """Remove *folder* when nothing is in it."""
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


class MeetingPoint:
    """The first node of the private DHT; ``async with`` runs it."""

    def __init__(self, folder: Path, *, host: str) -> None:
        """Listen on a free port of *host*, keep state below *folder*."""
        shelf = Shelf(folder)
        self._host = host
        self._engine = Engine(loopback_settings(folder / "state", host=host, bootstrap=()), places=shelf, puncher=shelf)

    @property
    def address(self) -> tuple[str, int]:
        """Where the DHT is met."""
        return self._host, self._engine.listen_port

    async def __aenter__(self) -> Self:
        await self._engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.stop()


def loopback_settings(state: Path, *, host: str, bootstrap: tuple[tuple[str, int], ...]) -> EngineSettings:
    """Return the settings of an engine that lives on the loopback address *host* and meets others in the DHT only."""
    return EngineSettings(
        node_id=node_id(NODE_ID_PREFIX + secrets.token_bytes(_RANDOM_BYTES)),
        client=CLIENT,
        network_id=NETWORK_ID,
        listen=(f"{host}:0",),
        outgoing=host,
        state_dir=state,
        dht=True,
        dht_bootstrap=bootstrap,
        allow_private=True,
    )
