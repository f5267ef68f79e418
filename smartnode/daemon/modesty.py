"""The node yields to whatever else the host does: lower CPU priority, last in line for the disk."""

import psutil
import structlog

NICENESS = 5

log = structlog.get_logger(__name__)


def be_modest() -> None:
    """Lower this process's CPU and disk priority; a host that does not allow it is served as it is."""
    me = psutil.Process()
    try:
        me.nice(max(me.nice(), NICENESS))
        me.ionice(psutil.IOPRIO_CLASS_BE, 7)  # the lowest best-effort level: behind others, never starved
    except (psutil.Error, OSError) as error:
        log.warning("node.priority_kept", reason=str(error))
