"""A DHT lookup says who answered for it, or None: libtorrent reports each answer and never the end, so silence until
the deadline is unknown, not none.
"""

import asyncio

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.engine.events import PeersFound
from smartnode.engine.live import Live

ANSWER_WITHIN_S = 8.0
MORE_WITHIN_S = 1.0
MAX_PEERS = 500


class Lookups:
    """The lookups under way; two callers that ask for one torrent share one."""

    def __init__(self, live: Live) -> None:
        """Ask through *live*."""
        self._live = live
        self._running: dict[InfoHash, asyncio.Task[tuple[Address, ...] | None]] = {}
        self._found: dict[InfoHash, set[Address]] = {}
        self._answered: dict[InfoHash, asyncio.Event] = {}

    async def find(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Return the peers that the DHT knows, in order of address; None when nobody answered in time."""
        task = self._running.get(info_hash)
        if task is None:
            task = asyncio.create_task(self._ask(info_hash))
            self._running[info_hash] = task
            task.add_done_callback(lambda _: self._running.pop(info_hash, None))
        return await asyncio.shield(task)

    def took(self, event: PeersFound) -> None:
        """Collect one answer; answers that nobody waits for are dropped."""
        found = self._found.get(event.info_hash)
        if found is not None and len(found) < MAX_PEERS:
            found.update(event.addresses)
            self._answered[event.info_hash].set()

    def cancel(self) -> None:
        """End every lookup."""
        for task in self._running.values():
            task.cancel()

    async def _ask(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        found: set[Address] = set()
        answered = asyncio.Event()
        self._found[info_hash], self._answered[info_hash] = found, answered
        try:
            self._live.session.dht_get_peers(lt.sha1_hash(bytes.fromhex(info_hash)))
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await answered.wait()
            await asyncio.sleep(MORE_WITHIN_S)
        except TimeoutError:
            return None
        finally:
            del self._found[info_hash], self._answered[info_hash]
        return tuple(sorted(found - self._live.listening)[:MAX_PEERS])
