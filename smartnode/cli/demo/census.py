"""Who holds what: counted from what the nodes say of themselves, pure; a piece counts once per node that has it whole.

Copies are copies on nodes; the origin is not one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smartnode.cli.demo.publication import Publication
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one node said: *have* maps info-hash to the pieces held; *cycle* counts its closed cycles; None before its
    first answer of the kind.
    """

    name: str
    state: str = "starting"
    cycle: int = 0
    quota: Bytes = Bytes(0)
    held: Bytes = Bytes(0)
    allocated: Bytes | None = None
    in_flight: Bytes = Bytes(0)
    have: Mapping[str, Bitfield]


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All nodes at one moment. *covered*: bytes of the archive in pieces that some node holds; *copies_min* over
    pieces, *copies_mean* over bytes; *partial_items*: items that some node holds in part.
    """

    readings: tuple[Reading, ...]
    archive: Bytes
    covered: Bytes
    copies_min: int
    copies_mean: float
    partial_items: int

    @property
    def complete(self) -> bool:
        """Every byte of the archive is on a node."""
        return self.copies_min >= 1

    @property
    def held(self) -> Bytes:
        """Bytes that the nodes hold together."""
        return Bytes(sum(reading.held for reading in self.readings))

    @property
    def donated(self) -> Bytes:
        """Bytes that the nodes were given together."""
        return Bytes(sum(reading.quota for reading in self.readings))

    @property
    def in_flight(self) -> Bytes:
        """Bytes promised and not held yet."""
        return Bytes(sum(reading.in_flight for reading in self.readings))


def reading_of(name: str, status: Mapping[str, Any], items: Mapping[str, Any]) -> Reading:
    """Return the Reading of a node's /status and /items; ValueError or KeyError when they are not of that form."""
    have = {}
    for row in items["items"]:
        ranges = [PieceRange(first=int(first), last=int(last)) for first, last in row["have"]]
        have[str(row["info_hash"])] = Bitfield.from_ranges(ranges, int(row["pieces"]))
    return Reading(
        name=name,
        state=str(status["state"]),
        cycle=int(status["cycle"]),
        quota=Bytes(int(status["quota_bytes"] or 0)),
        held=Bytes(int(status["held_bytes"])),
        allocated=None if status["allocated_bytes"] is None else Bytes(int(status["allocated_bytes"])),
        in_flight=Bytes(int(status["in_flight_bytes"])),
        have=have,
    )


def count(publication: Publication, readings: Sequence[Reading]) -> Census:
    """Return the census of *publication* over *readings*."""
    covered = total = 0
    lowest: list[int] = []
    partial = 0
    for published in publication.items:
        layout, key = published.metainfo.layout, published.metainfo.info_hash
        held = [reading.have[key] for reading in readings if key in reading.have]
        copies = np.zeros(layout.num_pieces, dtype=np.int64)
        for pieces in held:
            copies += pieces.to_array()
        weights = _piece_bytes(layout)
        covered += int(weights[copies > 0].sum())
        total += int((copies * weights).sum())
        lowest.append(int(copies.min()))
        partial += any(0 < pieces.count() < layout.num_pieces for pieces in held)
    archive = publication.archive_bytes
    return Census(
        readings=tuple(readings),
        archive=archive,
        covered=Bytes(covered),
        copies_min=min(lowest),
        copies_mean=total / archive,
        partial_items=partial,
    )


def _piece_bytes(layout: Layout) -> NDArray[np.int64]:
    weights = np.full(layout.num_pieces, layout.piece_length, dtype=np.int64)
    weights[-1] = layout.total_size - (layout.num_pieces - 1) * layout.piece_length
    return weights


class Calm:
    """The end of the fetching: nothing in flight and nothing new while every node closed *cycles* more cycles."""

    def __init__(self, *, cycles: int) -> None:
        """Ask for *cycles* quiet cycles of every node."""
        self._cycles = cycles
        self._held: Bytes | None = None
        self._since: dict[str, int] = {}

    def reached(self, census: Census) -> bool:
        """Take in one more census; True once the nodes are calm."""
        if census.held != self._held or census.in_flight:
            self._held = census.held
            self._since = {reading.name: reading.cycle for reading in census.readings}
            return False
        return all(reading.cycle - self._since[reading.name] >= self._cycles for reading in census.readings)
