"""The engine is given a web seed only after it was seen to serve ranges of the right file and a piece with the right
hash, and not while it fails.

libtorrent gives a web seed up for the session at the first HTTP error, hammers servers without ranges, and bans by
entry; so which addresses it may use is decided here, and when the others are asked again (schedule). Looks run in the
background, a few at a time (choice, hosts): a web seed that stalls never holds up another. All on the loop's thread.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror, MirrorFailure, MirrorState
from smartnode.errors import MetainfoError, SourceError
from smartnode.metainfo.addresses import folder_address, usable_web_seeds, web_seeds_for
from smartnode.metainfo.read import Metainfo
from smartnode.sources import report
from smartnode.sources.book import Book, Said
from smartnode.sources.choice import Ask, Choice, Key
from smartnode.sources.hosts import Budget, Hosts, host_of
from smartnode.sources.probe import Manners, Outcome, probe
from smartnode.sources.samples import Sample, proof_of
from smartnode.sources.schedule import PIECES, Pace, Schedule

log = structlog.get_logger(__name__)


class Mirrors:
    """Web seeds by torrent, and the looks at them."""

    def __init__(
        self,
        manners: Manners,
        *,
        clock: Callable[[], datetime],
        dice: random.Random,
        pace: Pace | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Look with *manners*; *clock* tells aware UTC, *dice* draws pieces and spreads the schedule."""
        self._manners = manners
        self._clock = clock
        self._dice = dice
        self._schedule = Schedule(pace=pace or Pace(), dice=dice)
        self._budget = budget or Budget()
        self._hosts = Hosts(self._budget)
        self._book = Book()
        self._choice = Choice(self._book, self._schedule, self._hosts, self._budget)
        self._moved: set[InfoHash] = set()
        self._looks: dict[Key, tuple[Ask, asyncio.Task[None]]] = {}

    def know(self, mirrors: Iterable[Mirror]) -> None:
        """Take up what an earlier run knew; a torrent's web seeds are asked again once it is expected."""
        known = tuple(mirrors)
        self._book.remember(known)
        self._moved |= {mirror.info_hash for mirror in known if mirror.state is MirrorState.LIVE}

    def expect(self, item: Item, metainfo: Metainfo) -> None:
        """Register the web seeds of a torrent; cheap when nothing changed, so it may be said in every cycle."""
        urls = web_seeds_for(item, metainfo, allow_private=self._manners.allow_private)
        entry = self._book.entry(metainfo.info_hash)
        proof, refusal = (None, "") if entry is None else (entry.proof, entry.refusal)
        if urls and proof is None and not refusal:
            try:
                proof = proof_of(metainfo, self._dice)
            except (MetainfoError, SourceError) as error:
                refusal = error.text
        before = self.live(metainfo.info_hash)
        said, heard = Said.by(item), None if entry is None else entry.said
        news = said.superseded and not (heard is not None and heard.superseded)
        regions = {
            spelled: region
            for url, region in item.places
            for spelled in usable_web_seeds([url], allow_private=self._manners.allow_private)
        }
        self._book.register(metainfo.info_hash, urls, proof, refusal, said=said, regions=regions)
        for mirror in self._serving(metainfo.info_hash) if news else ():
            self._put(self._schedule.superseded(mirror, self._clock()))
        if self.live(metainfo.info_hash) != before:
            self._moved.add(metainfo.info_hash)

    def expects(self, item: Item) -> bool:
        """Say whether the torrent of *item* is looked after by what *item* says now; if so, it is among the last to be
        forgotten when there are too many.
        """
        return item.torrent is not None and self._book.touch(item.torrent.info_hash, Said.by(item))

    def all(self) -> tuple[Mirror, ...]:
        """Return every web seed that was ever looked at."""
        return tuple(mirror for _, entry in self._book for mirror in entry.seen())

    def changed(self) -> tuple[Mirror, ...]:
        """Return those that changed since the last call, for the ledger."""
        return self._book.changed()

    def live(self, info_hash: InfoHash) -> tuple[str, ...]:
        """Return the addresses that the engine may use now, each once, in the catalogue's order."""
        return tuple(dict.fromkeys(mirror.target for mirror in self._serving(info_hash)))

    def count(self, info_hash: InfoHash) -> int | None:
        """Return how many web seeds serve the torrent; None when none was looked at, or not for long; 0 when it has
        none.
        """
        entry = self._book.entry(info_hash)
        if entry is None or entry.refusal:
            return None
        now = self._clock()
        told = [m for m in entry.seen() if m.state is not MirrorState.LIVE or not self._schedule.overdue(m, now)]
        return None if entry.mirrors and not told else len(self._serving(info_hash))

    def regions(self, info_hash: InfoHash) -> tuple[str | None, ...]:
        """Return where each web seed that serves the torrent is; None: the catalogue does not say."""
        entry = self._book.entry(info_hash)
        known = {} if entry is None else entry.regions
        return tuple(known.get(mirror.url) for mirror in self._serving(info_hash))

    def due(self, now: datetime) -> tuple[tuple[InfoHash, str], ...]:
        """Return the web seeds (torrent, address) to be asked now: those of torrents that are waited for first, then
        those never asked, then by when they fell due; not those that are being asked or whose host wants peace.
        """
        return tuple(self._choice.due(now, self._looks.keys()))

    async def tend(self, now: datetime, *, wanted: Collection[InfoHash]) -> frozenset[InfoHash]:
        """Look at what is due, torrents in *wanted* first, within the budgets, and return the torrents whose live
        addresses changed since the last call.

        Waits at most ``budget.patience`` for the looks that it began: those that take longer go on, and a later call
        tells what they found. Meant to be called every few seconds; returns at once when nothing is due.
        """
        self._choice.wanted = frozenset(wanted)
        self._collect()
        under_way = [ask for ask, _ in self._looks.values()]
        begun = {ask.key: (ask, asyncio.create_task(self._look(ask))) for ask in self._choice.choose(now, under_way)}
        self._looks |= begun
        if begun:
            tasks = [task for _, task in begun.values()]
            await asyncio.wait(tasks, timeout=self._budget.patience.total_seconds())
            self._collect()
        moved, self._moved = frozenset(self._moved), set()
        return moved

    def failed(self, failure: MirrorFailure, now: datetime) -> None:
        """Take the engine's word that a web seed failed: it is not live any more, and soon asked again, or banned.

        An address that is nobody's target is where some live one redirected to: all of them are asked again.
        """
        live = self._serving(failure.info_hash)
        entry = self._book.entry(failure.info_hash)
        named = {failure.url, folder_address(failure.url)}
        blamed = [mirror for mirror in (entry.seen() if entry else []) if mirror.target in named]
        for mirror in blamed:
            if failure.banned or mirror in live:
                self._put(self._schedule.blamed(mirror, failure, now))
        if not blamed:
            for mirror in live:
                suspect = self._schedule.blamed(mirror, replace(failure, banned=False), now)
                self._put(replace(suspect, hashed_at=None if failure.banned else suspect.hashed_at))

    def degraded(self, now: datetime) -> tuple[str, ...]:
        """Return what keeps the torrents that are waited for from their web seeds, in at most seven lines."""
        entries = [(h, entry) for h in sorted(self._choice.wanted) if (entry := self._book.entry(h)) is not None]
        failing = [m for _, entry in entries for m in entry.seen() if not self._schedule.serves(m, now)]
        refused = [(h, entry.refusal) for h, entry in entries if entry.refusal]
        return report.lines(failing, refused, now)

    async def close(self) -> None:
        """End the looks that are under way; what they would have found is asked again another time."""
        looks, self._looks = self._looks, {}
        for _, task in looks.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in looks.values()), return_exceptions=True)

    def _serving(self, info_hash: InfoHash) -> list[Mirror]:
        entry, now = self._book.entry(info_hash), self._clock()
        return [mirror for mirror in (entry.seen() if entry else []) if self._schedule.serves(mirror, now)]

    def _collect(self) -> None:
        """Let go of the looks that ended; a broken law in one of them is raised here."""
        for key, (_, task) in list(self._looks.items()):
            if task.done():
                del self._looks[key]
                task.result()

    async def _look(self, ask: Ask) -> None:
        info_hash, url = ask.key
        async with self._hosts.visit(host_of(url), urgent=ask.urgent):
            began = self._clock()
            if not self._hosts.is_open(host_of(url), began):
                return
            outcome = await self._probe(ask, ask.samples, began)
            if self._other_bytes(ask, outcome):
                samples = self._again(ask, began)
                if samples is None and ask.before is not None:
                    self._found(ask, self._schedule.changed(ask.before, self._clock()))
                    return
                outcome = await self._probe(ask, samples or (), began)
        now = self._clock()
        if outcome.unreached or outcome.crowded:
            self._hosts.pause(host_of(url), now, outcome.again_in)
        self._found(ask, self._schedule.looked(ask.before, outcome, now, info_hash=info_hash, url=url))

    async def _probe(self, ask: Ask, samples: Sequence[Sample], now: datetime) -> Outcome:
        """Look; a fault of our own costs this web seed a wait, and no other anything."""
        try:
            return await probe(ask.key[1], ask.proof, samples, manners=self._manners, now=now)
        except Exception:
            log.exception("sources.look_failed", info_hash=ask.key[0], url=ask.key[1])
            reason = "an internal error, see the log; please report it"
            return Outcome(state=MirrorState.WAITING, target=ask.key[1], reason=reason)

    @staticmethod
    def _other_bytes(ask: Ask, outcome: Outcome) -> bool:
        """Say whether a light look met other validators than those under which a piece was hashed."""
        light = outcome.state is MirrorState.LIVE and not outcome.hashed
        return light and ask.before is not None and outcome.validator != ask.before.validator

    def _again(self, ask: Ask, now: datetime) -> tuple[Sample, ...] | None:
        entry = self._book.entry(ask.key[0])
        return None if entry is None else self._choice.afford(entry, PIECES, now, urgent=ask.urgent)

    def _found(self, ask: Ask, mirror: Mirror) -> None:
        """Keep what a look found, unless the engine learned something else meanwhile."""
        entry = self._book.entry(mirror.info_hash)
        if entry is not None and entry.mirrors.get(mirror.url) is ask.before:
            self._put(mirror)

    def _put(self, mirror: Mirror) -> None:
        before = self.live(mirror.info_hash)
        if self._book.put(mirror) and self.live(mirror.info_hash) != before:
            self._moved.add(mirror.info_hash)
