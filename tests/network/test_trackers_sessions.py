"""Real sessions announce, a node that holds nothing looks: trackers alone lead it to every holder's pieces."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.swarm.observer import Eyes, Observer
from smartnode.swarm.probe import Manners
from smartnode.swarm.tracker_line import TrackerManners
from smartnode.swarm.trackers import Trackers
from tests.plain import plain_session

PIECE, COUNT = 1 << 15, 8
T0 = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One swarm to look at."""

    info_hash: InfoHash
    trackers: tuple[str, ...]
    num_pieces: int = COUNT
    known: SwarmView | None = None
    connected: tuple[Holder, ...] = ()
    size: Bytes = Bytes(PIECE * COUNT)
    private: bool = True
    busy: frozenset[Address] = frozenset()


class NoDht:
    """A DHT that is off."""

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Say that nothing is known."""
        assert info_hash


def member(host: str, folder: Path, raw: bytes, tracker: str, *, have: int) -> lt.session:
    """A real session at *host* that holds the first *have* pieces and announces itself."""
    session = plain_session(host, port=6881, allow_multiple_connections_per_ip=True)
    params = lt.load_torrent_buffer(raw)
    params.save_path = str(folder)
    params.trackers = [tracker]
    params.flags = params.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    params.have_pieces = [n < have for n in range(COUNT)]
    params.piece_priorities = [4 if n < have else 0 for n in range(COUNT)]
    session.add_torrent(params)
    return session


@pytest.mark.parametrize("scheme", ["udp", "http"])
async def test_trackers_alone_lead_to_every_holder(tracker: Any, tmp_path: Path, scheme: str) -> None:
    """A seed and two partial seeds are seen with exactly their pieces, in two looks, and the looks leave no trace."""
    (tmp_path / "f.bin").write_bytes(b"".join(bytes([n]) * PIECE for n in range(COUNT)))
    made = lt.create_torrent(lt.list_files(str(tmp_path / "f.bin"), flags=0), PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(tmp_path))
    raw = bytes(lt.bencode(made.generate()))
    key = InfoHash(str(lt.load_torrent_buffer(raw).info_hashes.v1))
    one = tracker([key])
    url = getattr(one, scheme)
    # By HTTP: sessions of one process share their UDP connection ids, which the tracker ties to one address each.
    sessions = [member(f"127.0.{80 + n}.1", tmp_path, raw, one.http, have=n) for n in (2, 5, COUNT)]
    asker = Trackers(TrackerManners(allow_private=True))

    async def counted() -> tuple[int | None, int | None]:
        said = (await asker.scrape({url: [key]}, T0)).get(key)
        return (said.complete, said.incomplete) if said else (None, None)

    async with asyncio.timeout(60):
        while await counted() != (1, 2):
            await asyncio.to_thread(sessions[0].wait_for_alert, 100)
            sessions[0].pop_alerts()
    eyes = Eyes(
        node_id=NodeId(b"-SN0001-000000000000"),
        network_id="d4c",
        manners=Manners(client="me", local_host="127.0.90.1", settle_s=0.2),
        allow_private=True,
        memory=timedelta(hours=72),
    )
    observer = Observer(NoDht(), eyes, asker)
    for _ in range(2):
        (view,) = await observer.look([Target(info_hash=key, trackers=(url,))], T0)
        held = {h.address: h.pieces.count() for h in view.holders}
        assert held == {Address(host=f"127.0.{80 + n}.1", port=6881): n for n in (2, 5, COUNT)}
        assert view.witness is Witness.WIRE_PROBE
        assert await counted() == (1, 2)
