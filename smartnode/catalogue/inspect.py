"""Any catalogue can be looked at as the daemon would read it, and nothing of it is kept."""

import tempfile
from datetime import datetime
from pathlib import Path

from smartnode.catalogue.catalogue import snapshot_of
from smartnode.catalogue.download import Bounds
from smartnode.catalogue.read import read_catalogue
from smartnode.catalogue.selection import DEFAULT_CAP, Selection
from smartnode.catalogue.source import CATALOGUE_BOUNDS, fetch
from smartnode.domain.catalogue import Snapshot


async def inspect(
    source: str,
    *,
    now: datetime,
    allow_private: bool = False,
    cap: int = DEFAULT_CAP,
    bounds: Bounds = CATALOGUE_BOUNDS,
) -> Snapshot:
    """Return what *source* (a path, ``file:`` or http(s) address) holds; CatalogueError when it is refused as a whole.

    No signature is needed; all counts are of the whole file, *cap* bounds the items.
    """
    with tempfile.TemporaryDirectory(prefix="smartnode-inspect-") as folder:
        incoming = await fetch(source, Path(folder) / "catalogue.tmp", bounds=bounds)
        reading = await read_catalogue(incoming.file, selection=Selection(cap=cap), allow_private=allow_private)
    return snapshot_of(reading, sha256=incoming.sha256, source=incoming.source, accepted_at=now)
