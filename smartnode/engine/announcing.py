"""Every torrent is announced, and never all of them at once: trackers and DHT are switched on torrent by torrent,
through one bucket.

libtorrent announces to a tracker the moment it is added, again at the tracker's interval, and after errors ever more
rarely, up to an hour. 2,000 UDP announces at once overflow sockets on the way and time out. So torrents are added
without trackers and with the DHT off, and serve at once; the bucket counts what libtorrent announces by itself too.
When a tracker that failed answers one torrent, those that wait for it are announced again within a minute or as fast as
the bucket allows. While it fails nobody new is sent to it, and it is asked about one torrent every two minutes.
A pause or a stop of many torrents sends no event=stopped: the trackers forget us by themselves.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random

import structlog

from smartnode.domain.identity import InfoHash
from smartnode.domain.tracker import TrackerHealth
from smartnode.engine.events import TrackerAnswered, TrackerAsked, TrackerFailed
from smartnode.engine.pacing import Bucket, Line, Turn
from smartnode.engine.telling import announce_again, switch_off, switch_on, tell_dht
from smartnode.engine.torrents import Told, Torrent
from smartnode.engine.trackers import Tracker, Trackers, interval_of

DHT = ""
"""Stands for the DHT where a tracker's URL stands."""

POLITE_TORRENTS = 100
"""At most so many say goodbye to their trackers at a pause or a stop."""

RECOVERY_SPREAD_S = 60.0
REVIEW_EVERY_S = 5.0
OTHER_ADDRESS_S = 60.0

log = structlog.get_logger(__name__)
Key = tuple[InfoHash, str]


class Announcing:
    """What the trackers and the DHT are told, and how well they listen. On the loop only."""

    def __init__(self, torrents: Mapping[InfoHash, Torrent], *, per_s: float, udp: bool, random: Random) -> None:
        """Announce *torrents*, at most *per_s* a second, without *udp* to no UDP tracker; *random* spreads what would
        come at once.
        """
        self._torrents = torrents
        self._udp = udp
        self._random = random
        self._bucket = Bucket(per_s)
        self._line: Line[Key] = Line()
        self._trackers = Trackers()
        self._still = False
        self._reviewed_at = 0.0
        self._silent = 0

    def join(self, torrent: Torrent, now: float, turn: Turn) -> None:
        """Take up a torrent that came into the session, without trackers and with its DHT off; one that was announced
        before, and is still listed, waits for the others.
        """
        if any(told.ok_at is not None for told in torrent.told.values()):
            turn = Turn.AGAIN
        usable = [url for url in torrent.trackers if self._udp or not url.startswith("udp:")]
        torrent.told = {url: torrent.told.get(url) or Told(now) for url in usable}
        for url, told in torrent.told.items():
            told.on = False
            self._line.join((torrent.info_hash, url), turn)
        if not torrent.metainfo.private:
            self._line.join((torrent.info_hash, DHT), turn)

    def rename(self, torrent: Torrent, trackers: tuple[str, ...], now: float) -> None:
        """Announce *torrent* to exactly *trackers*, in this order, from now on; those that it leaves hear nothing."""
        if trackers == torrent.trackers:
            return
        with suppress(RuntimeError):  # it is on its way out of the session
            switch_off(torrent)
        torrent.trackers = trackers
        if torrent.handle is not None and not self._still:
            self.join(torrent, now, Turn.AGAIN)

    def tell_dht(self, torrent: Torrent) -> None:
        """Tell the DHT again; private torrents (BEP 27) are never told."""
        if not torrent.metainfo.private:
            self._line.join((torrent.info_hash, DHT), Turn.AGAIN)

    def beat(self, now: float) -> None:
        """Let through what the time allows; called about once a second."""
        self._bucket.fill(now)
        if self._still:
            return
        if now >= self._reviewed_at + REVIEW_EVERY_S:
            self._reviewed_at = now
            self._review(now)
        self._knock(now)
        while self._bucket.take():
            while (key := self._line.next(now)) is not None and not self._send(key, now):
                pass
            if key is None:
                self._bucket.give_back()
                return

    def took(self, event: TrackerAsked | TrackerAnswered | TrackerFailed, now: float) -> None:
        """Take over what became of an announce, be it ours or libtorrent's own."""
        match event:
            case TrackerAsked():
                self._bucket.saw()
                told = self._told(event.info_hash, event.url)
                if told is not None:
                    told.asked_at = now
            case TrackerAnswered():
                self._answered(event, now)
            case TrackerFailed():
                self._failed(event, now)

    def _answered(self, event: TrackerAnswered, now: float) -> None:
        """Take note that a tracker took an announce: those that wait for it are announced again."""
        tracker, told = self._trackers.of(event.url), self._told(event.info_hash, event.url)
        tracker.failing.discard(event.info_hash)
        if told is not None:
            told.ok_at, told.failed = now, 0
            handle = self._torrents[event.info_hash].handle
            if tracker.wants_interval(now) and handle is not None:
                tracker.took_interval(interval_of(handle, event.url), now)
        self._recovered(tracker, now)

    def _failed(self, event: TrackerFailed, now: float) -> None:
        """Take note of a failed announce. One that failed from one of our addresses while another worked, or of a
        tracker that was taken out meanwhile, says nothing.
        """
        told = self._told(event.info_hash, event.url)
        if told is None or not told.on or (told.ok_at is not None and now < told.ok_at + OTHER_ADDRESS_S):
            return
        told.failed += 1
        tracker = self._trackers.of(event.url)
        if event.refused:
            if told.failed == 1:
                shown = tracker.shown
                log.warning("engine.torrent_refused", info_hash=event.info_hash, tracker=shown, reason=event.text)
            return
        if tracker.answered_after(told.asked_at):
            self._again(event.info_hash, told, tracker, now)
            return
        tracker.failing.add(event.info_hash)
        if tracker.failed(event.text, now + self._random.uniform(0.75, 1.25) * tracker.KNOCK_EVERY_S):
            log.warning("engine.tracker_down", tracker=tracker.shown, reason=tracker.reason)

    def answers(self, url: str, now: float) -> None:
        """Take note that a tracker answers, seen elsewhere."""
        self._recovered(self._trackers.of(url), now)

    def fall_silent(self, pause: Callable[[], None]) -> None:
        """Pause the session and announce nothing more. A session that is paused tells its trackers goodbye: few
        torrents may; of many all trackers are taken out before, which sends nothing.
        """
        few = sum(any(told.on for told in t.told.values()) for t in self._torrents.values()) <= POLITE_TORRENTS
        if few:
            pause()
        self._take_out()
        if not few:
            pause()

    def _take_out(self) -> None:
        self._still = True
        self._line.clear()
        for torrent in self._torrents.values():
            with suppress(RuntimeError):
                switch_off(torrent)
            for told in torrent.told.values():
                told.on = False

    def come_back(self, now: float) -> None:
        """Announce everything again after a pause."""
        self._still = False
        for torrent in self._torrents.values():
            if torrent.handle is not None:
                self.join(torrent, now, Turn.START)

    def health(self) -> tuple[TrackerHealth, ...]:
        """Return how each tracker listens."""
        return self._trackers.health()

    def _send(self, key: Key, now: float) -> bool:
        """Announce one; False when nothing was sent."""
        torrent, url = self._torrents.get(key[0]), key[1]
        if torrent is None or torrent.handle is None:
            return False
        try:
            if url == DHT:
                tell_dht(torrent)
                return True
            sent = self._announce(torrent, url, now)
        except RuntimeError:  # it is on its way out of the session
            return False
        if sent:
            self._bucket.expect()
        return sent

    def _announce(self, torrent: Torrent, url: str, now: float) -> bool:
        told, tracker = torrent.told.get(url), self._trackers.of(url)
        if told is None:
            return False
        if tracker.down:
            tracker.failing.add(torrent.info_hash)
            return False
        if not told.on:
            switch_on(torrent, url)
        elif told.failed or now > told.heard_at + tracker.bound_s:
            announce_again(torrent, url)
        else:
            return False
        told.forced_at = now
        return True

    def _recovered(self, tracker: Tracker, now: float) -> None:
        if tracker.answered(now):
            log.info("engine.tracker_back", tracker=tracker.shown, waiting=len(tracker.failing))
        for info_hash in tracker.failing:
            told = self._told(info_hash, tracker.url)
            if told is not None:
                self._again(info_hash, told, tracker, now)
        tracker.failing.clear()

    def _again(self, info_hash: InfoHash, told: Told, tracker: Tracker, now: float) -> None:
        """Announce one again soon, though not at the same moment as the others, here and elsewhere."""
        at = max(now, told.rests_until) + self._random.uniform(0.0, RECOVERY_SPREAD_S)
        self._line.join((info_hash, tracker.url), Turn.AGAIN, at=at)

    def _knock(self, now: float) -> None:
        """Ask a tracker that is down about one of the torrents that wait for it."""
        for tracker in self._trackers:
            if not tracker.down or now < tracker.knock_at or not tracker.failing:
                continue
            tracker.knock_at = now + self._random.uniform(0.75, 1.25) * tracker.KNOCK_EVERY_S
            info_hash = self._random.choice(sorted(tracker.failing))
            told = self._told(info_hash, tracker.url)
            if told is None or self._torrents[info_hash].handle is None:
                tracker.failing.discard(info_hash)
                continue
            with suppress(RuntimeError):
                (announce_again if told.on else switch_on)(self._torrents[info_hash], tracker.url)

    def _review(self, now: float) -> None:
        """Count what each tracker has, and announce again what it has not heard of for too long."""
        for tracker in self._trackers:
            tracker.torrents = tracker.silent = 0
        for torrent in self._torrents.values():
            for url, told in torrent.told.items():
                tracker = self._trackers.of(url)
                tracker.torrents += 1
                if now <= told.heard_at + tracker.bound_s:
                    continue
                tracker.silent += 1
                if not tracker.down and now >= told.rests_until:
                    self._line.join((torrent.info_hash, url), Turn.AGAIN)
        silent = sum(tracker.silent for tracker in self._trackers)
        if silent > 2 * self._silent:
            log.warning("engine.torrents_silent", announces=silent)
        self._silent = silent

    def _told(self, info_hash: InfoHash, url: str) -> Told | None:
        torrent = self._torrents.get(info_hash)
        return None if torrent is None else torrent.told.get(url)
