"""Connected peers become Holders: what peer_info shows at one moment, text from strangers cut. Web seeds are left out,
and so are the probes of other nodes: under a new peer id each time they would be remembered as peers that left.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import libtorrent as lt
import numpy as np

from smartnode.domain.identity import NodeId, is_prober, is_smartnode
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, Witness
from smartnode.engine.settings import EngineSettings
from smartnode.engine.torrents import Torrent

CLIENT_CHARACTERS = 128
_NOT_YET = lt.peer_info.connecting | lt.peer_info.handshake


async def connected(torrent: Torrent, settings: EngineSettings, now: datetime) -> tuple[Holder, ...]:
    """Return the connected peers of *torrent*; none when it is not in the session."""
    if torrent.handle is None:
        return ()
    try:
        peers = await asyncio.to_thread(torrent.handle.get_peer_info)
    except RuntimeError:  # it left the session while we asked
        return ()
    return holders(
        peers, count=torrent.have.length, now=now, network_id=settings.network_id, ourselves=settings.node_id
    )


def holders(
    peers: Iterable[Any], *, count: int, now: datetime, network_id: str, ourselves: NodeId
) -> tuple[Holder, ...]:
    """Return the peers of a torrent of *count* pieces that finished their handshake, in order of their address."""
    found = (_holder(peer, count=count, now=now, network_id=network_id) for peer in peers if _counts(peer))
    others = (holder for holder in found if holder.peer_id != ourselves and not is_prober(holder.client))
    return tuple(sorted(others, key=lambda h: h.address))


def _counts(peer: Any) -> bool:
    return peer.connection_type == lt.peer_info.standard_bittorrent and not peer.flags & _NOT_YET


def _holder(peer: Any, *, count: int, now: datetime, network_id: str) -> Holder:
    host, port = peer.ip
    pieces = np.zeros(count, dtype=np.bool_)
    seen = peer.pieces[:count]
    pieces[: len(seen)] = seen
    client = printable(peer.client)
    return Holder(
        address=Address(host=host, port=port),
        peer_id=peer.pid.to_bytes(),
        client=client,
        smartnode=is_smartnode(client, network_id),
        pieces=Bitfield.from_array(pieces),
        first_seen=now,
        last_contact=now,
        progressed_at=None,
        witness=Witness.PEER_INFO,
        upload_only=bool(peer.flags & lt.peer_info.upload_only),
    )


def printable(client: bytes) -> str | None:
    """Return a peer's own name in at most 128 printable characters, None when it gave none."""
    text = client[: 4 * CLIENT_CHARACTERS].decode("utf-8", errors="replace")
    return "".join(c for c in text if c.isprintable())[:CLIENT_CHARACTERS] or None
