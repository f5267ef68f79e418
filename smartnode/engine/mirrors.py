"""libtorrent uses exactly the web seeds that it is told to use, and whoever names them learns which of them failed.

libtorrent gives a web seed up for the session at its first HTTP error, bans one that sent a wrong byte, and connects
to one that refuses or cuts its answers short again and again without a word. Each of these is one failure here: it is
told at once, the web seed is not used until it is named again, and naming it again really uses it: taken out and put
in, where a redirect led as well. Nothing revives by itself.
A connection's end names an address only. Which web seed that was follows from its port and, where several have it,
from the names' addresses; behind a proxy names are not looked up.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import MirrorFailure
from smartnode.domain.swarm import Address
from smartnode.engine.events import Closed, Closing, GivenUp
from smartnode.engine.torrents import Torrent
from smartnode.web.names import look_up

CUTS, CUTS_FOR_S = 3, 3.0
"""So many connections, over so long a time at least, that brought nothing are a failure."""

WORTH_A_CONNECTION = 1 << 20
"""Bytes: fewer for each connection, from all sources together, count as nothing."""

CUTS_AT_MOST = 60
CUTS_WITHIN_S = 120.0
"""So many connections in so long a time are too many, whatever they brought; other sources may have brought it."""

LOOK_UP_WITHIN_S = 2.0
PORTS = {"http": 80, "https": 443}
CANNOT = "cannot be reached: "

log = structlog.get_logger(__name__)


class WebSeed:
    """One web seed of one torrent, as it was named. *targets*: where its redirects led and failed."""

    __slots__ = ("cuts", "failed", "redirected", "since", "since_bytes", "targets", "url")

    def __init__(self, url: str) -> None:
        """It has not failed."""
        self.url = url
        self.failed = self.redirected = False
        self.targets: set[str] = set()
        self.cuts = 0
        self.since = 0.0
        self.since_bytes = 0

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or PORTS.get(parts.scheme, 0)


class Mirrors:
    """The web seeds of all torrents."""

    def __init__(
        self,
        torrents: Mapping[InfoHash, Torrent],
        tell: Callable[[MirrorFailure], None],
        *,
        look_up: bool,
    ) -> None:
        """Tell *tell* of each failure, on the loop; *look_up*: names may be asked of the host's resolver."""
        self._torrents = torrents
        self._tell = tell
        self._look_up = look_up
        self._seeds: dict[InfoHash, dict[str, WebSeed]] = {}

    def use(self, torrent: Torrent, urls: Collection[str]) -> None:
        """Make *urls* the web seeds of *torrent*; what failed and is named again is used again."""
        known = self._seeds.get(torrent.info_hash, {})
        chosen: dict[str, WebSeed] = {}
        for url in dict.fromkeys(urls):
            seed = known.get(url)
            if seed is not None and not seed.failed:
                chosen[url] = seed
                continue
            if seed is not None:
                self._take_out(torrent, seed)
            chosen[url] = WebSeed(url)
            self._put_in(torrent, url)
        for url, seed in known.items():
            if url not in chosen:
                self._take_out(torrent, seed)
        self._seeds[torrent.info_hash] = chosen
        torrent.web_seeds = tuple(chosen)

    def forget(self, info_hash: InfoHash) -> None:
        """Forget a torrent that is held no more."""
        self._seeds.pop(info_hash, None)

    def gave_up(self, event: GivenUp) -> None:
        """Take note that libtorrent gave a web seed up, or what a redirect of it led to."""
        torrent, seeds = self._torrents.get(event.info_hash), self._seeds.get(event.info_hash, {})
        if torrent is None:
            return
        seed = seeds.get(event.url)
        if seed is not None:
            self._fail(torrent, seed, event.text, banned=event.banned)
            return
        redirected = [each for each in seeds.values() if each.redirected and not each.failed]
        for each in redirected or list(seeds.values())[: len(seeds) == 1]:
            each.targets.add(event.url)
            self._fail(torrent, each, event.text, banned=event.banned)

    async def closed(self, event: Closed, now: float) -> None:
        """Take note of a connection's end, be it a web seed's."""
        torrent = self._torrents.get(event.info_hash)
        if torrent is None:
            return
        for seed in await self._behind(event):
            if seed.failed:
                continue
            match event.how:
                case Closing.REDIRECTED:
                    seed.redirected = True
                case Closing.REFUSED:
                    self._fail(torrent, seed, CANNOT + event.text, take_out=True)
                case Closing.NONSENSE:
                    self._fail(torrent, seed, event.text, take_out=True)
                case Closing.CUT:
                    if self._too_often(torrent, seed, now):
                        self._fail(torrent, seed, f"cuts its answers short: {event.text}", take_out=True)

    def knows(self, event: Closed) -> bool:
        """Say whether the connection may have been a web seed's: all others are nobody's business here."""
        seeds = self._seeds.get(event.info_hash, {}).values()
        return any(not seed.failed and (seed.port == event.address.port or seed.redirected) for seed in seeds)

    async def _behind(self, event: Closed) -> list[WebSeed]:
        """Return the web seeds that the connection may have been of: more than one only when they cannot be told
        apart, none when it was a peer's.
        """
        seeds = [seed for seed in self._seeds.get(event.info_hash, {}).values() if not seed.failed]
        candidates = [seed for seed in seeds if seed.port == event.address.port]
        literal = [seed for seed in candidates if seed.host == event.address.host]
        if literal or not candidates:
            return literal or [seed for seed in seeds if seed.redirected]
        named = [seed for seed in candidates if not _is_address(seed.host)]
        if len(named) < 2 or not self._look_up:  # noqa: PLR2004 -- one needs no telling apart
            return named
        found = [seed for seed in named if event.address.host in await _addresses(seed.host, event.address)]
        return found or named

    @staticmethod
    def _too_often(torrent: Torrent, seed: WebSeed, now: float) -> bool:
        if not seed.cuts or now > seed.since + CUTS_WITHIN_S:
            seed.cuts, seed.since, seed.since_bytes = 0, now, torrent.downloaded
        seed.cuts += 1
        came = torrent.downloaded - seed.since_bytes
        fruitless = came < seed.cuts * WORTH_A_CONNECTION and now >= seed.since + CUTS_FOR_S
        return seed.cuts >= CUTS_AT_MOST or (seed.cuts > CUTS and fruitless)

    def _fail(
        self, torrent: Torrent, seed: WebSeed, text: str, *, banned: bool = False, take_out: bool = False
    ) -> None:
        seed.failed = True
        torrent.web_seeds = tuple(url for url in torrent.web_seeds if url != seed.url)
        if take_out:
            self._take_out(torrent, seed)
        log.info("engine.mirror_failed", info_hash=torrent.info_hash, url=seed.url, reason=text, banned=banned)
        self._tell(MirrorFailure(info_hash=torrent.info_hash, url=seed.url, text=text, banned=banned))

    @staticmethod
    def _put_in(torrent: Torrent, url: str) -> None:
        if torrent.handle is not None:  # else it is put in with the torrent
            with suppress(RuntimeError):
                torrent.handle.add_url_seed(url)

    @staticmethod
    def _take_out(torrent: Torrent, seed: WebSeed) -> None:
        if torrent.handle is not None:
            for url in (seed.url, *seed.targets):
                with suppress(RuntimeError):
                    torrent.handle.remove_url_seed(url)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


async def _addresses(host: str, like: Address) -> list[str]:
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN_S):
            return await look_up(host, like.port)
    except (OSError, ValueError, TimeoutError):
        return []


def unheard(_: MirrorFailure) -> None:
    """Stand in while nobody asks for failures: they are in the log."""
