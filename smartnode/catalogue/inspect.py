"""Any catalogue can be looked at as the daemon would read it, and nothing of it is kept."""

import tempfile
from datetime import datetime
from pathlib import Path

from smartnode.catalogue.catalogue import snapshot_of
from smartnode.catalogue.download import Bounds
from smartnode.catalogue.intake import Intake
from smartnode.catalogue.read import read_catalogue
from smartnode.catalogue.selection import DEFAULT_CAP, Selection
from smartnode.catalogue.source import CATALOGUE_BOUNDS, fetch
from smartnode.domain.catalogue import Snapshot
from smartnode.domain.network import STRAIGHT, Way


async def inspect(
    source: str,
    *,
    now: datetime,
    allow_private: bool = False,
    cap: int = DEFAULT_CAP,
    bounds: Bounds = CATALOGUE_BOUNDS,
    way: Way = STRAIGHT,
) -> Snapshot:
    """Return what *source* (a path, ``file:`` or http(s) address) holds; CatalogueError when it is refused as a whole.

    No signature is needed; all counts are of the whole file, *cap* bounds the items.
    """
    with (
        tempfile.TemporaryDirectory(prefix="smartnode-inspect-") as folder,
        Intake(Path(folder) / "catalogue.tmp") as intake,
    ):
        incoming = await fetch(source, intake, bounds=bounds, way=way)
        assert incoming is not None  # it was asked for without a condition
        reading = await read_catalogue(incoming.file, selection=Selection(cap=cap), allow_private=allow_private)
    return snapshot_of(reading, sha256=incoming.sha256, source=incoming.source, accepted_at=now)
