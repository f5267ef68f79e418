"""A board that shows one status, served by the real server on loopback."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from smartnode.api.app import make_app
from smartnode.api.server import Server
from smartnode.domain.catalogue import Item, Torrent
from smartnode.domain.decision import Decision
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey, NodeId
from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange
from smartnode.domain.plan import Because, Entries, Plan, PlanEntry, Rule
from smartnode.domain.quota import Room
from smartnode.domain.status import CatalogueStatus, HeldItem, NodeStatus, State
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.domain.tracker import Scrape, TrackerHealth
from smartnode.domain.wishes import Wish, Word

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LAYOUT = Layout(total_size=Bytes(640), piece_length=Bytes(10))  # 64 pieces, 32 segments of 2 pieces


def item(name: str, digit: str | None) -> Item:
    """An item of collection c; *digit* None: without a torrent."""
    torrent = (
        None
        if digit is None
        else Torrent(
            info_hash=InfoHash(digit * 40),
            info_hash_v1=digit * 40,
            info_hash_v2=None,
            size=LAYOUT.total_size,
            piece_length=LAYOUT.piece_length,
            name=name,
            metainfo_url=None,
        )
    )
    return Item(key=ItemKey(collection="c", id=name), torrent=torrent, title=f"The {name}")


def mirror(url: str, *, gone: bool = False) -> Mirror:
    """A web seed of the held torrent."""
    state = MirrorState.GONE if gone else MirrorState.LIVE
    return Mirror(
        info_hash=InfoHash("a" * 40), url=url, state=state, target=url, reason="404" if gone else "", checked_at=AT
    )


class OneStatus:
    """A board whose status is a plain attribute."""

    def __init__(self) -> None:
        """Hold one item in part, know another, and a third without a torrent."""
        held, other = item("held", "a"), item("other", "b")
        have = Bitfield.from_indices([0, 1, 2], 64)
        holding = Holding(
            info_hash=InfoHash("a" * 40), layout=LAYOUT, have=have, wanted=have | Bitfield.from_indices([3], 64)
        )
        view = SwarmView(
            info_hash=InfoHash("a" * 40),
            looked_at=AT,
            witness=Witness.WIRE_PROBE,
            holders=(
                Holder(
                    address=Address(host="93.184.1.1", port=6881),
                    peer_id=bytes(20),
                    client="x/1",
                    smartnode=False,
                    pieces=Bitfield.full(64),
                    first_seen=AT,
                    last_contact=AT,
                    progressed_at=None,
                    witness=Witness.WIRE_PROBE,
                    upload_only=True,
                    rate=0.5,
                ),
            ),
            scrape=Scrape(at=AT, complete=2, incomplete=None, downloaded=7),
        )
        entry = PlanEntry(
            item=held.key,
            info_hash=InfoHash("a" * 40),
            segments=(PieceRange(first=2, last=3),),
            bytes=Bytes(20),
            item_bytes=Bytes(640),
            because=Because(
                rule=Rule.AT_RISK,
                text="one copy elsewhere",
                evidence={"copies": 1, "mirrors": None},
                change="not fetched once 2 are seen",
            ),
        )
        plan = Plan(
            fetch=(entry,),
            keep=(),
            evict=(),
            declined=Entries(ready=[replace(entry, item=other.key), replace(entry, item=held.key)]),
            order=(),
            evictions=(),
            quota_bytes=Bytes(1000),
            capacity=Bytes(670),
            level=1.0,
            fetch_level=None,
        )
        room = Room(
            quota=Bytes(1000),
            allocated=Bytes(40),
            overhead=Bytes(10),
            in_flight=Bytes(10),
            disk_free=Bytes(5000),
            keep_free=Bytes(100),
        )
        self.now = NodeStatus(
            at=AT,
            cycle=3,
            state=State.FETCHING,
            version="1",
            name="n",
            network_id="d4c",
            node_id=NodeId(bytes(20)),
            listen_port=6881,
            degraded=("catalogue: the source is down",),
            room=room,
            catalogue=CatalogueStatus(seq=None, items=3, with_torrent=2, verified=False, accepted_at=AT, source="x"),
            plan=plan,
            items=(held, other, item("plain", None)),
            held={InfoHash("a" * 40): HeldItem(item=held, holding=holding, view=view)},
            views={InfoHash("a" * 40): view},
            mirrors={InfoHash("a" * 40): (mirror("https://one.example/f"), mirror("https://two.example/f", gone=True))},
            trackers=(
                TrackerHealth(
                    url="udp://t.example:6969/announce",
                    torrents=2,
                    answered_at=AT,
                    failures=3,
                    reason="timed out",
                    silent=1,
                ),
            ),
            wishes=(
                Wish(info_hash=InfoHash("a" * 40), word=Word.PINNED, item="c/held", at=AT),
                Wish(info_hash=InfoHash("b" * 40), word=Word.EXCLUDED, item="c/other", at=AT),
            ),
        )
        self.asked: list[tuple[int, InfoHash | None]] = []

    def status(self) -> NodeStatus:
        """Return the one status."""
        return self.now

    async def decisions(self, *, limit: int, info_hash: InfoHash | None = None) -> Sequence[Decision]:
        """Return one decision and remember what was asked."""
        self.asked.append((limit, info_hash))
        return [
            Decision(
                at=AT,
                cycle=2,
                action="fetch",
                item="c/held",
                info_hash="a" * 40,
                segments=1,
                bytes=20,
                rule="at_risk",
                because="one copy elsewhere",
                outcome="started",
            )
        ]


@pytest.fixture
def board() -> OneStatus:
    """A board of its own for each test."""
    return OneStatus()


@pytest.fixture
async def client(board: OneStatus) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the real server on a free port."""
    server = Server(make_app(board, hosts=("127.0.0.1",)), host="127.0.0.1", port=0)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as asking:
        yield asking
    await server.stop()
