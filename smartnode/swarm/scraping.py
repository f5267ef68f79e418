"""All the torrents that one tracker is asked about, in batches as large as it takes, within its allowance.

1. Batches go one by one until one is taken; a tracker that leaves the first unanswered is left. 2. Then four are under
way. 3. A refused batch is asked again in halves; three torrents refused on their own in a row mean that this tracker
does not count for us. 4. A tail that is missing from an answer is asked once more: some trackers cut long questions
without a word (measured: Debian's opentracker answers 64 of 70 by HTTP), and then that is their batch.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from smartnode.domain.identity import InfoHash
from smartnode.errors import SwarmError
from smartnode.swarm.answers import Counts, TrackerRefusal
from smartnode.swarm.tracker_line import Allowance, TrackerLine

UNDER_WAY = 4
REFUSED_ALONE_MAX = 3
DOUBTS_MAX = 8
"""So often in vain is a missing tail asked again: most trackers simply do not know those torrents."""


class Scraping:
    """What is still to be asked of one tracker, and what it said; kept as it comes: a deadline loses nothing."""

    def __init__(self, hashes: Iterable[InfoHash], *, batch: int, found: dict[InfoHash, Counts]) -> None:
        """Ask about *hashes*, *batch* at a time at first; what is learned goes into *found*."""
        self.pending = deque(hashes)
        self.found = found
        self.batch = batch
        self.failure: SwarmError | None = None
        """Why the tracker was left; None: it was not."""
        self.answered = False
        self._doubted: dict[InfoHash, int] = {}
        self._doubts_left = DOUBTS_MAX
        self._refused_alone = 0
        self._taken = False

    async def run(self, line: TrackerLine, allowance: Allowance) -> None:
        """Ask until everything is asked, the allowance is spent or the tracker fails; raises nothing of its own."""
        while not self._taken and await self._step(line, allowance):
            pass
        async with asyncio.TaskGroup() as group:
            for _ in range(UNDER_WAY):
                group.create_task(self._work(line, allowance))

    async def _work(self, line: TrackerLine, allowance: Allowance) -> None:
        while await self._step(line, allowance):
            pass

    async def _step(self, line: TrackerLine, allowance: Allowance) -> bool:
        if self.failure is not None or not self.pending or allowance.left <= 0:
            return False
        batch = [self.pending.popleft() for _ in range(min(self.batch, len(self.pending)))]
        try:
            said = await line.scrape(batch)
        except TrackerRefusal as refusal:
            self.answered = True
            self._refused(batch, refusal)
            return True
        except SwarmError as error:
            self.failure = error
            self.pending.extendleft(reversed(batch))
            return False
        except BaseException:  # called off: what was not answered is still to be asked
            self.pending.extendleft(reversed(batch))
            raise
        self.answered = True
        self._taken = True
        self._refused_alone = 0
        self._take(batch, said)
        return True

    def _refused(self, batch: Sequence[InfoHash], refusal: TrackerRefusal) -> None:
        if len(batch) > 1:
            self.batch = max(1, min(self.batch, len(batch) // 2))
            self.pending.extendleft(reversed(batch))
            return
        self._refused_alone += 1
        if self._refused_alone >= REFUSED_ALONE_MAX:
            self.failure = refusal

    def _take(self, batch: Sequence[InfoHash], said: Mapping[InfoHash, Counts | None]) -> None:
        self.found.update({h: counts for h, counts in said.items() if counts is not None})
        proven = [self._doubted[h] for h in batch if h in said and h in self._doubted]
        if proven:
            self.batch = max(1, min(self.batch, *proven))
            self._doubts_left = DOUBTS_MAX
        listed = max((n for n, h in enumerate(batch, 1) if h in said), default=len(batch))
        tail = [h for h in batch[listed:] if h not in self._doubted]
        if tail and self._doubts_left > 0:
            self._doubts_left -= 1
            self._doubted.update(dict.fromkeys(tail, listed))
            self.pending.extendleft(reversed(tail))
