"""What a cycle did or refused, as the ledger keeps it and `why` shows it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that a cycle did or refused, as it will be read months later."""

    at: datetime
    cycle: int
    action: str
    item: str
    info_hash: str | None
    segments: int
    bytes: int
    rule: str
    because: str
    outcome: str
