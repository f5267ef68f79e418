"""Every path of payload lies inside the data root, whatever a catalogue calls its items and whatever links lie there.

Whole items: ``<root>/<collection>/<id>~<8 hex>/``; partial ones: ``<root>/.partial/<collection>/<id>~<8 hex>/`` (a
sparse file has its full size from the first piece and reads as zeros). The eight digits keep items apart whose names
become one when made safe. A folder that a symlink leads out of the root is refused: nothing is ever written there.
"""

from pathlib import Path

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.errors import DiskError

PARTIAL = ".partial"
NO_COLLECTION = "_"
NAME_MAX_BYTES = 200  # of the 255 that file systems give, the rest is for the suffix and safety
HASH_DIGITS = 8


class Places:
    """Folders of items below one root, which may itself be a symlink."""

    def __init__(self, root: Path) -> None:
        """Place everything below the absolute folder *root*."""
        self.root = root

    def whole(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return where the item lies while every piece is held; DiskError when a link leads elsewhere."""
        return self._inside(self.root / _folder(item_key, info_hash))

    def partial(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return where the item lies while pieces are missing; DiskError when a link leads elsewhere."""
        return self._inside(self.root / PARTIAL / _folder(item_key, info_hash))

    def _inside(self, folder: Path) -> Path:
        try:
            inside = folder.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError) as error:  # RuntimeError: Python 3.11 and 3.12 say so of a circle of links
            message = f"{folder} cannot be followed ({error})"
            raise DiskError(message, cure="remove links from storage.path") from error
        if not inside:
            message = f"{folder} leads outside {self.root}"
            raise DiskError(message, cure="remove links from storage.path")
        return folder


def safe_name(text: str) -> str:
    """Return *text* as one path component: no separator, no control or invisible character, no leading dot,
    bounded.
    """
    shown = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in text)
    bounded = shown.encode("utf-8", "replace")[:NAME_MAX_BYTES].decode("utf-8", "ignore").rstrip(" ")
    return "_" + bounded[1:] if bounded.startswith((".", " ")) else bounded


def _folder(item_key: ItemKey, info_hash: InfoHash) -> Path:
    name = f"{safe_name(item_key.id)}~{info_hash[:HASH_DIGITS]}"
    return Path(safe_name(item_key.collection) or NO_COLLECTION) / name
