"""The rooms that a cycle walks through, and the first thing that it asks of them: how much disk there is."""

from dataclasses import dataclass

from smartnode.cycle.needs import (
    CatalogueRoom,
    ClockRoom,
    DiskRoom,
    EngineRoom,
    LedgerRoom,
    SourcesRoom,
    SwarmRoom,
    TrackersRoom,
)
from smartnode.domain.pieces import Bytes
from smartnode.domain.quota import Room
from smartnode.errors import DiskError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The rooms that a cycle walks through."""

    catalogue: CatalogueRoom
    engine: EngineRoom
    swarm: SwarmRoom
    trackers: TrackersRoom
    sources: SourcesRoom
    disk: DiskRoom
    ledger: LedgerRoom
    clock: ClockRoom


async def measure(rooms: Rooms, *, walk: bool = True) -> tuple[Room | None, list[str]]:
    """Measure the disk with all that is in flight, walking the folders or not; (None, why) when it cannot be done.

    A disk that is not there stops the engine: nothing is written to a bare mount point, nothing unreadable is served.
    """
    in_flight = Bytes(sum(h.in_flight_bytes for h in rooms.engine.holdings().values()))
    try:
        room = await (rooms.disk.measure if walk else rooms.disk.glance)(in_flight)
    except DiskError as error:
        rooms.engine.stand_still(still=True)
        return None, [f"disk: {error}"]
    rooms.engine.stand_still(still=False)
    return room, []
