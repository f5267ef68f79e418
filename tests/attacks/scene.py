"""A victim, two honest nodes and a publisher on addresses of their own; and what can be read of all of them on disk."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import libtorrent as lt

from smartnode.cli.demo.origin import Origin
from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.swarm import Address
from smartnode.planning.ranks import rank
from tests.attacks.hostile import Source, Target, Underworld
from tests.nodes import COLLECTION, MIB, RunningNode, Site, wait_for
from tests.plain import plain_session

EPOCH_S, QUIET_S = 44, 20
PIECE = 2 * MIB
HONEST = "honest.bin"
RELAYED = "relayed.bin"
MORE = f"""
a_guard = "{QUIET_S // 2} s"
[protocol]
epoch = "{EPOCH_S} s"
quiet_window = "{QUIET_S} s"
holder_age_swap = "1 s"
holder_age_shrink = "1 s"
clock = "trusted"
"""
ONLY_HONEST = f"""
[selection]
include = ["{HONEST}"]
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The first of *nodes* is the victim, which holds everything; the others hold HONEST. *pieces*: of each item."""

    site: Site
    pieces: dict[str, int]
    nodes: list[RunningNode]
    foreign: Address
    """A seed of RELAYED that is no smartnode, and therefore never counts."""

    @property
    def victim(self) -> RunningNode:
        """The node that is attacked."""
        return self.nodes[0]

    @property
    def victims_id(self) -> NodeId:
        """Its id, as everybody sees it."""
        return self._ids[0]

    def torrent(self, name: str) -> InfoHash:
        """The torrent of an item."""
        return self.site.torrents[name].info_hash

    def source(self, name: str, address: Address, local_host: str) -> Source:
        """Whoever is at *address* as a source of an item."""
        return Source(
            address=address, info_hash=self.torrent(name), num_pieces=self.pieces[name], local_host=local_host
        )

    def targets(self, names: Iterable[str], epochs: Iterable[int]) -> list[Target]:
        """Where a liar must outrank the victim: everywhere in *names*, but in HONEST only where the victim is the first
        of the honest to let go.
        """
        ids = self._ids
        found = []
        for name, epoch in product(names, epochs):
            for segment in range(self.pieces[name]):
                ranks = [rank(each, self.torrent(name), segment=segment, epoch=epoch) for each in ids]
                if name != HONEST or ranks[0] == min(ranks):
                    found.append((self.torrent(name), segment, epoch))
        return found

    def shrink(self, quota: int) -> None:
        """Let the victim's owner lower its quota."""
        _configure(self.victim, self.site, quota=quota, dht=())
        self.victim.hang_up()

    def why(self, name: str) -> Any:
        """What the victim says of an item."""
        return self.victim.ask(f"/api/v1/items/{self.torrent(name)}")

    def evicted(self) -> dict[str, list[str]]:
        """What the victim let go, by its ledger: item to reasons."""
        found: dict[str, list[str]] = {}
        for each in (self.victim.ask("/api/v1/decisions") or {"decisions": []})["decisions"]:
            if (each["action"], each["outcome"]) == ("evict", "done"):
                found.setdefault(each["item"].removeprefix(f"{COLLECTION}/"), []).append(each["because"])
        return found

    def on_disk(self, node: RunningNode, name: str) -> set[int]:
        """Pieces of an item whose bytes in the node's files are those that were published."""
        whole = self.site.files[name].read_bytes()
        cut = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
        found = set()
        for path in (node.folder / "data").rglob(name):
            raw = path.read_bytes()
            found |= {n for n, piece in enumerate(cut) if raw[n * PIECE : (n + 1) * PIECE] == piece}
        return found

    @property
    def _ids(self) -> list[NodeId]:
        return [NodeId(bytes.fromhex(each.status()["node_id"])) for each in self.nodes]


@contextmanager
def scene(folder: Path, under: Underworld, pieces: dict[str, int], *, first: int, seed: int = 1) -> Iterator[Scene]:
    """Publish, start node *first* and two more, and wait until each holds what it wants. Everything has a mirror but
    RELAYED, which comes from a foreign client.
    """
    (folder / "site").mkdir()
    with ExitStack() as over:
        origin = Origin(folder / "site", host="127.0.120.2")
        origin.start()
        over.callback(origin.stop)
        site = Site(folder=folder / "site", origin=origin)
        sizes = {name: count * PIECE for name, count in pieces.items()}
        site.publish(sizes, piece_length=PIECE, seed=seed, mirrors={RELAYED: []}, trackers=[under.tracker])
        session = _seed(site, RELAYED, "127.0.120.3")
        over.callback(session.pause)
        foreign = Address(host="127.0.120.3", port=session.listen_port())
        under.name(site.torrents[RELAYED].info_hash, foreign)
        nodes: list[RunningNode] = []
        for number in range(first, first + 3):
            one = RunningNode(folder / f"node{number}", host=f"127.0.{number}.1", api_port=18_700 + number)
            over.callback(one.process.end)
            over.callback(one.process.ask_to_stop)
            dht = () if not nodes else (f"{nodes[0].host}:{nodes[0].status()['listen_port']}",)
            _configure(one, site, quota=2 * sum(sizes.values()), dht=dht, only=ONLY_HONEST if nodes else "")
            one.start()
            nodes.append(one)
        at = Scene(site=site, pieces=pieces, nodes=nodes, foreign=foreign)
        for name, count in pieces.items():
            for one in nodes[: 3 if name == HONEST else 1]:
                wait_for(name, lambda name=name, one=one, count=count: len(one.held(name)) == count)
            live = int(name != RELAYED)
            wait_for(f"the mirrors of {name}", lambda name=name, live=live: at.why(name)["view"]["mirrors"] == live)
        yield at


def next_epoch() -> int:
    """The first epoch that begins from now on; the one before has two seconds left, in which nothing is begun."""
    epoch = int(time.time() // EPOCH_S) + 1
    wait_for("the end of an epoch", lambda: time.time() >= epoch * EPOCH_S - 2, deadline_s=EPOCH_S)
    return epoch


def _configure(one: RunningNode, site: Site, *, quota: int, dht: tuple[str, ...], only: str = "") -> None:
    one.configure(catalogue=site.catalogue, quota=quota, interval="2 s", dht=dht, more=MORE + only)


def _seed(site: Site, name: str, host: str) -> lt.session:
    """A seed that announces itself to nobody."""
    session = plain_session(host)
    params: Any = lt.load_torrent_buffer(site.torrents[name].raw)
    params.save_path = str(site.folder)
    params.trackers, params.url_seeds = [], []
    params.flags = (params.flags | lt.torrent_flags.seed_mode) & ~(
        lt.torrent_flags.auto_managed | lt.torrent_flags.paused
    )
    session.add_torrent(params)
    wait_for("the hidden seed", session.listen_port, deadline_s=20)
    return session
