"""A DHT lookup ends when the DHT has no lookup left to work on: what was named by then is all, and nobody is none.

libtorrent reports each answer and never the end, so its list of active requests is asked for while a lookup runs. A
DHT without nodes, and one that is still at work at the deadline without an answer, says nothing: unknown, not none.
"""

import asyncio

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.engine.events import DhtWork, PeersFound
from smartnode.engine.live import Live

ANSWER_WITHIN_S = 8.0
MORE_WITHIN_S = 1.0
POLL_S = 0.25  # also how long an earlier question about the DHT's work may still be under way
MAX_PEERS = 500


class _Lookup:
    """One lookup under way."""

    __slots__ = ("asked_at", "found", "nodes", "until")

    def __init__(self, now: float) -> None:
        self.asked_at = now
        self.until = now + ANSWER_WITHIN_S
        self.found: set[Address] = set()
        self.nodes: int | None = None
        """Nodes of the DHT once it has no lookup left; None while it works."""


class Lookups:
    """The lookups under way; two callers that ask for one torrent share one."""

    def __init__(self, live: Live) -> None:
        """Ask through *live*."""
        self._live = live
        self._running: dict[InfoHash, asyncio.Task[tuple[Address, ...] | None]] = {}
        self._lookups: dict[InfoHash, _Lookup] = {}

    async def find(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Return the peers that the DHT knows, in order of address; None when it could not be asked."""
        task = self._running.get(info_hash)
        if task is None:
            task = asyncio.create_task(self._ask(info_hash))
            self._running[info_hash] = task
            task.add_done_callback(lambda _: self._running.pop(info_hash, None))
        return await asyncio.shield(task)

    def took(self, event: PeersFound | DhtWork) -> None:
        """Collect one answer, or the news that the DHT's work is done; what nobody waits for is dropped."""
        now = asyncio.get_running_loop().time()
        if isinstance(event, DhtWork):
            if event.lookups == 0:
                for lookup in self._lookups.values():
                    if now >= lookup.asked_at + POLL_S:
                        lookup.nodes = event.nodes
            return
        asked = self._lookups.get(event.info_hash)
        if asked is not None and len(asked.found) < MAX_PEERS:
            asked.found.update(event.addresses)
            asked.until = min(asked.until, now + MORE_WITHIN_S)

    def cancel(self) -> None:
        """End every lookup."""
        for task in self._running.values():
            task.cancel()

    async def _ask(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        loop = asyncio.get_running_loop()
        lookup = self._lookups[info_hash] = _Lookup(loop.time())
        try:
            self._live.session.dht_get_peers(lt.sha1_hash(bytes.fromhex(info_hash)))
            while lookup.nodes is None and loop.time() < lookup.until:
                await asyncio.sleep(POLL_S)
                self._live.session.post_dht_stats()
        finally:
            del self._lookups[info_hash]
        if not lookup.found and not lookup.nodes:
            return None
        return tuple(sorted(lookup.found - self._live.listening)[:MAX_PEERS])
