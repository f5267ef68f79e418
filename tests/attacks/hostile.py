"""The other side: a tracker that counts seeds who do not exist, and peers that hold nothing, in one thread."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Self
from urllib.parse import unquote_to_bytes, urlsplit

from smartnode.domain.identity import NODE_ID_LENGTH, NODE_ID_PREFIX, InfoHash, NodeId
from smartnode.domain.proof import Block
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.metainfo import bencode
from smartnode.planning.ranks import rank
from smartnode.swarm import wire
from smartnode.swarm.conversation import conversation
from tests.strangers import Stranger, peer, piece

SEEDS = 9
NOBODY = tuple(Address(host=f"127.99.{n}.1", port=7009) for n in range(1, SEEDS + 1))
"""Who does not exist: nothing listens there."""
TRIES = 1_000_000
Target = tuple[InfoHash, int, int]
"""A segment (torrent, number) in an epoch."""


class Underworld:
    """Runs what is hostile on loopback; all of it is over when the block ends."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.tracker = ""
        self.counted: list[str] = []
        """Info-hashes that the tracker was asked about, for counts or for peers."""
        self._named: dict[str, list[Address]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="underworld", daemon=True)
        self._exit, self._peers = AsyncExitStack(), AsyncExitStack()

    def __enter__(self) -> Self:
        """Start the tracker."""
        self._thread.start()
        self.tracker = self._do(self._track())
        return self

    def __exit__(self, *_: object) -> None:
        """End every peer, the tracker and the thread."""
        self.clear()
        self._do(self._exit.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def let_loose(self, stranger: Stranger, host: str, torrents: Iterable[str]) -> Address:
        """Let *stranger* listen on *host*; the tracker names it for *torrents* (info-hashes)."""
        address = self._do(self._peers.enter_async_context(peer(stranger.talk, host, leaves=True)))
        for torrent in torrents:
            self.name(torrent, address)
        return address

    def clear(self) -> None:
        """End all peers that were let loose."""
        self._do(self._peers.aclose())

    def name(self, torrent: str, address: Address) -> None:
        """Let the tracker name *address* for *torrent* too."""
        self._named.setdefault(torrent, []).append(address)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(60)

    async def _track(self) -> str:
        server = await asyncio.start_server(self._answer, "127.99.100.1", 0)
        self._exit.callback(server.close)
        return f"http://127.99.100.1:{server.sockets[0].getsockname()[1]}/announce"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            body = bencode.encode(self._say(request.split(b" ", 2)[1]))
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side left
        finally:
            writer.close()

    def _say(self, target: bytes) -> dict[bytes, Any]:
        url = urlsplit(target)
        asked = [
            unquote_to_bytes(v) for k, _, v in (p.partition(b"=") for p in url.query.split(b"&")) if k == b"info_hash"
        ]
        self.counted += [torrent.hex() for torrent in asked]
        counts = {b"complete": SEEDS, b"incomplete": 0}
        if url.path == b"/scrape":
            return {b"files": {torrent: counts | {b"downloaded": SEEDS} for torrent in asked}}
        named = [a for torrent in asked for a in (*NOBODY, *self._named.get(torrent.hex(), ()))]
        peers = b"".join(bytes(map(int, a.host.split("."))) + a.port.to_bytes(2, "big") for a in named)
        return {b"interval": 1800, b"peers": peers} | counts


def ground(victim: NodeId, targets: Iterable[Target], seed: str) -> NodeId | None:
    """A well-formed id that ranks above *victim* for all of *targets*; None when that takes more than seconds."""
    bars = [(rank(victim, t, segment=s, epoch=e), t, s, e) for t, s, e in targets]
    bars.sort(reverse=True)  # the hardest first
    for n in range(TRIES):
        drawn = sha256(f"{seed} {n}".encode()).digest()
        found = NodeId(NODE_ID_PREFIX + drawn[: NODE_ID_LENGTH - len(NODE_ID_PREFIX)])
        if all(rank(found, t, segment=s, epoch=e) > bar for bar, t, s, e in bars):
            return found
    return None


def silence(_: Block) -> list[bytes]:
    """No answer."""
    return []


def babble(block: Block) -> list[bytes]:
    """Random bytes."""
    return [piece(block, Random(str(block)).randbytes(block.length))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An honest holder of one torrent, and the address that somebody asks it from."""

    address: Address
    info_hash: InfoHash
    num_pieces: int
    local_host: str

    async def fetch(self, block: Block) -> bytes | None:
        """Ask for one block as any leecher does; None when it does not come."""
        try:
            async with conversation(
                self.address, num_pieces=self.num_pieces, deadline_s=10, local_host=self.local_host, proxy=None
            ) as talk:
                await talk.greet(self.info_hash)
                talk.say(wire.extended_handshake("Leecher 1.0", pex=False), wire.NOTHING, wire.INTERESTED)
                while True:
                    match await talk.frame():
                        case wire.Unchoke():
                            talk.say(wire.request(block))
                        case wire.Piece(block=served, data=data) if served == block:
                            return data
                        case _:
                            pass
        except SwarmError:
            return None


@dataclass(kw_only=True, slots=True)
class Replayer(Stranger):
    """It kept the first three blocks that it was ever asked for, from when *source* still served them, and has nothing
    else. *shifts*: it answers everything else with one of them.
    """

    source: Source
    shifts: bool = False
    recorded: dict[Block, bytes] = field(default_factory=dict)

    async def answers(self, info_hash: str, block: Block) -> list[bytes]:
        """Play back what was asked before; a block is recorded too late for its first question."""
        if info_hash != self.source.info_hash:
            return []
        if block in self.recorded:
            return [piece(block, self.recorded[block])]
        if len(self.recorded) < 3:
            data = await self.source.fetch(block)
            if data is not None:
                self.recorded[block] = data
            return []
        return [piece(block, next(iter(self.recorded.values())))] if self.shifts else []


@dataclass(kw_only=True, slots=True)
class Relay(Stranger):
    """It has nothing and fetches what it is asked for from *source* while the other side waits."""

    source: Source

    async def answers(self, info_hash: str, block: Block) -> list[bytes]:
        """Pass the block on."""
        data = await self.source.fetch(block) if info_hash == self.source.info_hash else None
        return [] if data is None else [piece(block, data)]
