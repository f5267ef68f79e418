"""What one cycle leaves behind for readers, and its one canonical log line."""

from dataclasses import dataclass

import structlog

from smartnode.cycle.apply import Applied
from smartnode.domain.plan import Plan
from smartnode.domain.quota import Room

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """*room* None: the disk could not be measured; *plan* None: none was made."""

    room: Room | None
    plan: Plan | None
    applied: Applied
    degraded: tuple[str, ...]

    def log(self, number: int) -> None:
        """Write the line of cycle *number*."""
        plan, applied = self.plan, self.applied
        log.info(
            "cycle.closed",
            cycle=number,
            fetch=len(plan.order) if plan else 0,
            keep=len(plan.keep) if plan else 0,
            declined=len(plan.declined) if plan else 0,
            started_bytes=applied.started_bytes,
            evicted_bytes=applied.evicted_bytes,
            failed=applied.failed,
            water_level=round(plan.level, 3) if plan and plan.level is not None else None,
            degraded=list(self.degraded),
        )
