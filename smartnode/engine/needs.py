"""What the engine needs of the disk: where an item's folder lies, and how its bytes are given back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from smartnode.domain.identity import InfoHash, ItemKey


class Places(Protocol):
    """Absolute folders inside the data root; the torrent's own names follow below them."""

    def whole(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return where the item lies while every piece is held: files that anybody may open."""
        ...

    def partial(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return where the item lies while pieces are missing: its files read as zeros there."""
        ...


class Puncher(Protocol):
    """Gives blocks back, inside the data root only; a SmartnodeError when it cannot. Called in a thread."""

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free the (offset, length) byte *runs* of the file *path*; its size stays, the runs read as zeros."""
        ...

    def require_root(self) -> None:
        """Raise unless the data root is there and is ours: an unmounted disk is not a loss of pieces."""
        ...

    def remove_empty(self, folder: Path) -> None:
        """Remove *folder* if nothing is left in it; nothing happens when it does not exist."""
        ...
