"""What this node has on disk of one torrent: *have* is verified and announced, *wanted* is the target; only pieces in
both matter.
"""

from dataclasses import dataclass

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One torrent in the engine. *have* and *wanted* are bitfields of the torrent's own length.

    *failure*: one line when the item cannot make progress (metainfo refused, disk error), else None.
    *uploaded*, *downloaded*: payload bytes since the torrent was first added.
    """

    info_hash: InfoHash
    layout: Layout
    have: Bitfield
    wanted: Bitfield
    peers: int = 0
    uploaded: Bytes = Bytes(0)
    downloaded: Bytes = Bytes(0)
    failure: str | None = None

    @property
    def missing(self) -> Bitfield:
        """Wanted and not held yet."""
        return self.wanted - self.have

    @property
    def held_bytes(self) -> Bytes:
        """Bytes of the pieces held."""
        return self.layout.bytes_in(self.have)

    @property
    def in_flight_bytes(self) -> Bytes:
        """Bytes promised and not held: the worst case that may still be written."""
        return self.layout.bytes_in(self.missing)
