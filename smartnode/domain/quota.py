"""The room that the volunteer gave: the quota binds all allocated bytes, keep_free binds the file system; never grown
past.

A reserve inside the quota, min(max(64 MiB, 1 %), 5 % of the quota), pays for state and file-system overhead.
"""

from dataclasses import dataclass

from smartnode.domain.pieces import Bytes

MIB = 1 << 20


def reserve_of(quota: Bytes) -> Bytes:
    """Bytes of *quota* kept for state and file-system overhead."""
    return Bytes(min(max(64 * MIB, quota // 100), quota // 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One measurement. *allocated*: blocks of all that the node writes (data root, state, cache) in bytes;
    *in_flight*: promised and not yet written; *disk_free*: what the file system of the data root still gives to this
    user; *overhead*: of *allocated*, what is not pieces (state, cache, directories), which the reserve pays for.
    """

    quota: Bytes
    allocated: Bytes
    overhead: Bytes
    in_flight: Bytes
    disk_free: Bytes
    keep_free: Bytes

    @property
    def reserve(self) -> Bytes:
        """Bytes of the quota meant for state and file-system overhead."""
        return reserve_of(self.quota)

    @property
    def set_aside(self) -> Bytes:
        """Bytes of the quota that pieces never use: the reserve, or what state takes already and a quarter of the
        reserve for what it will take until the next measurement.
        """
        return Bytes(max(self.reserve, self.overhead + self.reserve // 4))

    @property
    def free(self) -> Bytes:
        """Bytes of the quota that new pieces may still be promised; 0 when over."""
        payload = self.allocated - self.overhead
        return Bytes(max(0, self.quota - self.set_aside - payload - self.in_flight))

    @property
    def disk_room(self) -> Bytes:
        """Bytes that the disk still gives above keep_free once all that is in flight was written; negative: below the
        floor.
        """
        return Bytes(self.disk_free - self.keep_free - self.in_flight)

    @property
    def over_quota(self) -> Bytes:
        """Bytes above the quota, 0 when within it."""
        return Bytes(max(0, self.allocated - self.quota))

    @property
    def below_floor(self) -> Bytes:
        """Bytes that must leave the disk for keep_free to hold, 0 when it holds."""
        return Bytes(max(0, self.keep_free - self.disk_free))
