"""What the demo showed, in the keys of the public contract."""

from dataclasses import asdict, dataclass
from typing import Any

from smartnode.domain.pieces import Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """*donated_bytes*: the sum of the quotas; *held_bytes*: what all nodes held together; *partial_items*: items that
    some node held in part; copies count nodes, not the origin; *recovered_bytes*: fetched from the nodes alone and
    verified, after the origin was gone.
    """

    ok: bool
    nodes: int
    items: int
    archive_bytes: Bytes
    donated_bytes: Bytes
    held_bytes: Bytes
    partial_items: int
    copies_min: int
    copies_mean: float
    recovered_bytes: Bytes
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return asdict(self)
