"""Trackers are asked for counts in batches and for the peers of swarms that this node does not hold; nothing lists us.

Laws: a figure that no tracker gave is None, a torrent that none lists is absent; a tracker that does not answer costs
one batch and is then left alone for a growing while (standing); a look-up announces port 1 under a random id and takes
that back at once; behind a proxy no UDP tracker is asked, since nothing may go around the proxy.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from itertools import zip_longest

import structlog

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address
from smartnode.domain.tracker import Scrape, TrackerHealth
from smartnode.errors import SwarmError
from smartnode.swarm.answers import Announced, Counts, TrackerRefusal
from smartnode.swarm.manners import UNPRIVILEGED_PORT
from smartnode.swarm.scrapes import combine
from smartnode.swarm.scraping import Scraping
from smartnode.swarm.standing import Standing
from smartnode.swarm.tracker_http import http_line
from smartnode.swarm.tracker_line import Allowance, TrackerLine, TrackerManners
from smartnode.swarm.tracker_udp import udp_line
from smartnode.web.address import tracker_address

TRACKERS_PER_LOOKUP = 3
TRACKERS_MAX = 1000
LOOKUP_DATAGRAMS, LOOKUP_REQUESTS = 16, 12
TOKEN_WAIT_MAX_S = 5.0

log = structlog.get_logger(__name__)


class Trackers:
    """All the trackers that this node asks itself; what it learned of them lives as long as the process."""

    def __init__(self, manners: TrackerManners, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask as *manners* say; *clock* is monotonic, in seconds."""
        self._manners = manners
        self._clock = clock
        self._standings: dict[str, Standing] = {}
        self._scraped_at = -math.inf
        self._gate = asyncio.Semaphore(manners.at_once)

    async def scrape(self, wanted: Mapping[str, Sequence[InfoHash]], now: datetime) -> dict[InfoHash, Scrape]:
        """Ask each announce URL of *wanted* for the counts of its torrents, all within one deadline.

        Those asked longest ago come first: a few that take all the time do not keep the others out for ever. A torrent
        that no tracker listed is absent. What the allowance of a tracker did not reach is asked first in the
        next call. Raises nothing: what failed is in ``health`` and ``degraded``. A tracker that is not named here and
        was not asked since the last call is forgotten.
        """
        self._forget(wanted)
        said: list[dict[InfoHash, Counts]] = []
        try:
            async with asyncio.timeout(self._manners.deadline_s), asyncio.TaskGroup() as group:
                for url, hashes in sorted(wanted.items(), key=self._used_at):
                    if hashes and (standing := self._standing(url)) is not None:
                        said.append({})
                        group.create_task(self._scrape_one(standing, list(dict.fromkeys(hashes)), said[-1], now))
        except TimeoutError:
            log.debug("trackers.deadline", asked=len(said))
        by_hash: dict[InfoHash, list[Counts]] = {}
        for counts in said:
            for info_hash, count in counts.items():
                by_hash.setdefault(info_hash, []).append(count)
        return {info_hash: combine(counts, now) for info_hash, counts in by_hash.items()}

    async def peers(
        self, info_hash: InfoHash, trackers: Sequence[str], *, size: Bytes, now: datetime
    ) -> tuple[Address, ...] | None:
        """Ask at most three of *trackers* who is in a swarm that this node does not hold, *size* bytes being missing.

        None: no tracker answered, so nothing is known. Ports below 1024, our own listing among them, are left out.
        """
        asked: list[tuple[Standing, int]] = []
        for url in dict.fromkeys(trackers):
            if len(asked) < TRACKERS_PER_LOOKUP and (standing := self._standing(url)) is not None:
                ticket = standing.admit() if self._may_ask(standing) else None
                if ticket is not None:
                    asked.append((standing, ticket))
        answers = await asyncio.gather(*(self._look_up(s, t, info_hash, size, now) for s, t in asked))
        answered = [a.peers for a in answers if a is not None]
        if not answered:
            return None
        in_turn = (a for turn in zip_longest(*answered) for a in turn if a is not None)
        return tuple(dict.fromkeys(a for a in in_turn if a.port >= UNPRIVILEGED_PORT))

    def health(self) -> tuple[TrackerHealth, ...]:
        """Return how each tracker answers that is in use, without what could be a passkey."""
        return tuple(standing.health() for standing in self._standings.values())

    def degraded(self, now: datetime) -> tuple[str, ...]:
        """Return one line for each tracker that does not answer, and one when a proxy keeps UDP trackers out."""
        lines = [line for s in self._standings.values() if (line := s.complaint(now)) is not None]
        if self._manners.proxy is not None and any(s.udp for s in self._standings.values()):
            lines.append(
                "swarm: UDP trackers are not asked, since nothing may go around the proxy; "
                "HTTP trackers and known peers still serve"
            )
        return tuple(dict.fromkeys(lines))

    def answered(self, url: str) -> bool:
        """Whether the last question to the tracker *url* was answered; False when it was never asked."""
        standing = self._standings.get(url)
        return standing is not None and standing.answers

    async def _scrape_one(
        self, standing: Standing, hashes: list[InfoHash], found: dict[InfoHash, Counts], now: datetime
    ) -> None:
        standing.torrents = len(hashes)
        async with self._gate:
            if not standing.scrapes or not self._may_ask(standing) or (ticket := standing.admit()) is None:
                return
            hashes.sort(key=lambda h: h not in standing.left_over)
            scraping = Scraping(hashes, batch=standing.batch, found=found)
            allowance = Allowance(self._manners.udp_packets if standing.udp else self._manners.http_requests)
            try:
                async with self._line(standing, allowance) as line:
                    await scraping.run(line, allowance)
            except SwarmError as error:
                scraping.failure = error
            except Exception as error:  # a fault of our own costs this tracker a wait, and no other anything
                log.exception("tracker.failed")
                scraping.failure = SwarmError(f"an internal error: {type(error).__name__}")
            finally:
                _judge(standing, ticket, scraping, now)

    async def _look_up(
        self, standing: Standing, ticket: int, info_hash: InfoHash, size: Bytes, now: datetime
    ) -> Announced | None:
        verdict: str | None = None
        try:
            wait_s = standing.token_wait_s()
            if wait_s > TOKEN_WAIT_MAX_S:
                standing.token_back()
                return None
            await asyncio.sleep(wait_s)
            allowance = Allowance(LOOKUP_DATAGRAMS if standing.udp else LOOKUP_REQUESTS)
            async with asyncio.timeout(self._manners.lookup_s), self._line(standing, allowance) as line:
                answer = await line.announce(info_hash, left=size)
            verdict = ""
        except TrackerRefusal as refusal:
            log.debug("tracker.refused", info_hash=info_hash, reason=refusal.text)
            verdict = ""
            return None
        except (SwarmError, TimeoutError) as error:
            verdict = str(error) or "no answer"
            return None
        except Exception as error:
            log.exception("tracker.failed")
            verdict = f"an internal error: {type(error).__name__}"
            return None
        finally:
            if verdict is None:
                standing.released(ticket)
            elif verdict:
                standing.failed(ticket, now, verdict)
            else:
                standing.answered(now)
        return answer

    def _line(self, standing: Standing, allowance: Allowance) -> AbstractAsyncContextManager[TrackerLine]:
        open_line = udp_line if standing.udp else http_line
        return open_line(standing.url, self._manners, allowance)

    def _may_ask(self, standing: Standing) -> bool:
        return self._manners.proxy is None or not standing.udp

    def _standing(self, url: str) -> Standing | None:
        """Return the standing of *url*, None when it is no address of a tracker; the longest unused one makes room."""
        if url not in self._standings:
            try:
                tracker_address(url, allow_private=self._manners.allow_private)
            except ValueError:
                return None
            if len(self._standings) >= TRACKERS_MAX:
                del self._standings[min(self._standings, key=lambda u: self._standings[u].used_at)]
            self._standings[url] = Standing(
                url,
                lookups_per_s=self._manners.lookups_per_s,
                clock=self._clock,
                rest_max_s=self._manners.rest_max_s,
            )
        return self._standings[url]

    def _used_at(self, wanted: tuple[str, Sequence[InfoHash]]) -> float:
        standing = self._standings.get(wanted[0])
        return -math.inf if standing is None else standing.used_at

    def _forget(self, wanted: Collection[str]) -> None:
        stays = {u: s for u, s in self._standings.items() if u in wanted or s.used_at >= self._scraped_at}
        self._standings, self._scraped_at = stays, self._clock()


def _judge(standing: Standing, ticket: int, scraping: Scraping, now: datetime) -> None:
    """Give the verdict on one scrape, however it ended."""
    standing.batch = scraping.batch
    standing.left_over = frozenset(scraping.pending if scraping.answered else ())
    failure = scraping.failure
    if failure is not None and not isinstance(failure, TrackerRefusal):
        standing.failed(ticket, now, failure.text)
    elif failure is not None:
        standing.answered(now)
        standing.refuses_to_scrape()
    elif scraping.answered:
        standing.answered(now)
    else:
        standing.failed(ticket, now, "no answer within the deadline")
