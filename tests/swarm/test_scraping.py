"""Batches: as large as the tracker takes, each torrent asked as often as it must be and no more."""

from collections.abc import Mapping, Sequence

import pytest

from smartnode.domain.identity import InfoHash
from smartnode.errors import SwarmError
from smartnode.swarm.answers import Announced, Counts, TrackerRefusal
from smartnode.swarm.scraping import UNDER_WAY, Scraping
from smartnode.swarm.tracker_line import Allowance

HASHES = [InfoHash(f"{n:040x}") for n in range(1000)]
ONE = Counts(complete=1, incomplete=0, downloaded=0)


class Line:
    """A tracker that knows *known*, refuses more than *refuses_over* and lists no more than *lists*."""

    def __init__(
        self, known: Sequence[InfoHash], *, refuses_over: int = 999, lists: int = 999, silent_after: int = 999
    ) -> None:
        """Behave as said; *silent_after*: questions that are answered."""
        self._known = set(known)
        self._refuses_over, self._lists, self._silent_after = refuses_over, lists, silent_after
        self.allowance = Allowance(999)
        self.asked: list[list[InfoHash]] = []

    async def scrape(self, hashes: Sequence[InfoHash]) -> Mapping[InfoHash, Counts | None]:
        """Answer as said."""
        assert self.allowance.spend()
        self.asked.append(list(hashes))
        if len(self.asked) > self._silent_after:
            message = "no answer"
            raise SwarmError(message)
        if len(hashes) > self._refuses_over:
            message = "too many"
            raise TrackerRefusal(message)
        return {h: ONE for h in hashes[: self._lists] if h in self._known}

    async def announce(self, info_hash: InfoHash, *, left: int) -> Announced:
        """Name nobody."""
        assert info_hash
        assert left
        return Announced(peers=(), interval_s=None)


async def scrape(line: Line, *, batch: int = 70, allowance: int = 999) -> Scraping:
    """Ask *line* about a thousand torrents."""
    line.allowance = Allowance(allowance)
    scraping = Scraping(HASHES, batch=batch, found={})
    await scraping.run(line, line.allowance)
    return scraping


async def test_every_torrent_is_asked_once() -> None:
    """A tracker that knows all of them answers each in the first place."""
    line = Line(HASHES)
    scraping = await scrape(line)
    assert set(scraping.found) == set(HASHES)
    assert len(line.asked) == 15
    assert not scraping.pending


async def test_a_refused_batch_is_halved_until_it_is_taken() -> None:
    """All are found in the end, and the batch that worked is what is remembered."""
    line = Line(HASHES, refuses_over=20)
    scraping = await scrape(line)
    assert set(scraping.found) == set(HASHES)
    assert scraping.batch == 17


async def test_a_tracker_that_cuts_long_questions_is_found_out() -> None:
    """Nothing is lost where 64 of 70 are answered without a word, and the rest is asked 64 at a time."""
    line = Line(HASHES, lists=64)
    scraping = await scrape(line)
    assert set(scraping.found) == set(HASHES)
    assert scraping.batch == 64
    assert len(line.asked) <= 16 + UNDER_WAY


async def test_torrents_that_a_tracker_does_not_know_do_not_double_the_cost() -> None:
    """A tail that is simply unknown is asked again a few times only, and the batch does not shrink."""
    line = Line(HASHES[::70])
    scraping = await scrape(line)
    assert set(scraping.found) == set(HASHES[::70])
    assert scraping.batch == 70
    assert len(line.asked) <= 15 + 8


@pytest.mark.parametrize("answers", [0, 1, 7])
async def test_silence_ends_the_asking_at_once(answers: int) -> None:
    """A tracker that does not answer the first batch is asked once; later no more than what was under way."""
    line = Line(HASHES, silent_after=answers)
    scraping = await scrape(line)
    assert scraping.failure is not None
    assert len(line.asked) <= max(1, answers + UNDER_WAY) if answers else len(line.asked) == 1
    assert set(scraping.found) | set(scraping.pending) == set(HASHES)


async def test_a_tracker_that_refuses_single_torrents_is_left() -> None:
    """One that counts for nobody costs a dozen questions, not a thousand."""
    line = Line(HASHES, refuses_over=0)
    scraping = await scrape(line)
    assert isinstance(scraping.failure, TrackerRefusal)
    assert scraping.answered
    assert len(line.asked) <= 20


async def test_what_the_allowance_does_not_reach_is_still_pending() -> None:
    """Nothing is lost and nothing is sent beyond it."""
    line = Line(HASHES)
    scraping = await scrape(line, allowance=5)
    assert len(line.asked) == 5
    assert set(scraping.found) | set(scraping.pending) == set(HASHES)
    assert len(scraping.found) == 350
