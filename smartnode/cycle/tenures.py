"""Ages of holders outlive a restart: what was seen before it counts on, and nothing that was not seen.

Laws: an age comes back only with the very sighting that it reaches up to, as the views remember it, so that a break
that was seen and not yet written is never bridged; not across a gap longer than T_mem; not by a clock in doubt, neither
when it is written nor when it comes back; and never for a node that was met since the start. What was seen in an epoch
does not come back at all: a node that restarts in it lets nothing go before the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from smartnode.cycle.epochs import Epochs
from smartnode.cycle.needs import ClockRoom, LedgerRoom
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Holder, SwarmView
from smartnode.domain.tenure import Tenure
from smartnode.errors import LedgerError
from smartnode.planning.segments import Cut

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tenures:
    """Carries ages between the epochs and the ledger; what was read waits for a clock without doubt."""

    _epochs: Epochs
    _ledger: LedgerRoom
    _clock: ClockRoom
    _waiting: list[tuple[Tenure, Holder]] = field(default_factory=list)

    async def start(self, views: Mapping[InfoHash, SwarmView]) -> None:
        """Read what was written before; *views* are those that the ledger kept."""
        for tenure in await self._ledger.tenures():
            view = views.get(tenure.info_hash)
            for holder in () if view is None else view.holders:
                if holder.smartnode and holder.peer_id == tenure.node and holder.last_contact == tenure.at:
                    self._waiting.append((tenure, holder))

    def restore(self, holdings: Mapping[InfoHash, Holding], now: datetime) -> None:
        """Take up what was read, once, before the first look that a clock without doubt dates."""
        if not self._waiting or self._clock.doubt(now) is not None:
            return
        waiting, self._waiting = self._waiting, []
        for tenure, holder in waiting:
            held = holdings.get(tenure.info_hash)
            if held is not None:
                self._epochs.restore(tenure, holder, Cut.of(held.layout), now)

    async def keep(self, now: datetime) -> None:
        """Write what was seen since the last time that it could be written."""
        if self._clock.doubt(now) is not None:
            return
        seen = self._epochs.unkept()
        try:
            await self._ledger.remember_tenures(seen)
        except LedgerError as error:
            log.warning("eviction.ages_not_kept", reason=str(error))
        else:
            self._epochs.kept(seen)
