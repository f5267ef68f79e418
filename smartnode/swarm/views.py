"""Views only grow by evidence: a look adds what was seen, keeps what was known, forgets who is silent beyond T_mem.

One peer is one holder, by its peer id; a peer that came back under a new id at the same listening address replaces the
old one. A look that learned nothing leaves ``looked_at`` as it was: unknown stays unknown. How fast a peer gains is
measured between sightings at least 20 s apart; what is closer together measures chance.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash, is_smartnode
from smartnode.domain.swarm import Holder, SwarmView, Witness
from smartnode.swarm.probe import Sighting

HOLDERS_MAX = 200
RATE_APART_S = 20.0


def holder_of(sighting: Sighting, *, now: datetime, network_id: str) -> Holder:
    """Return the holder that a wire probe saw just now."""
    return Holder(
        address=sighting.address,
        peer_id=sighting.peer_id,
        client=sighting.client,
        smartnode=is_smartnode(sighting.client, network_id),
        pieces=sighting.pieces,
        first_seen=now,
        last_contact=now,
        progressed_at=None,
        witness=Witness.WIRE_PROBE,
        upload_only=sighting.upload_only,
    )


def merge(
    known: SwarmView | None,
    *,
    info_hash: InfoHash,
    seen: Iterable[Holder],
    witness: Witness | None,
    now: datetime,
    memory: timedelta,
) -> SwarmView:
    """Return the view after a look. *witness* None: nothing was learned; holders connected to us still count as seen.

    *seen* may name one peer twice (probe and peer_info): pieces are united, the probed address wins because it listens.
    """
    by_id = {h.peer_id: h for h in (known.holders if known else ())}
    for fresh in seen:
        older = by_id.get(fresh.peer_id)
        by_id = {k: h for k, h in by_id.items() if h.address != fresh.address or k == fresh.peer_id}
        by_id[fresh.peer_id] = fresh if older is None else _newer(older, fresh)
    alive = [h for h in by_id.values() if now - h.last_contact <= memory]
    alive.sort(key=lambda h: (h.last_contact, h.peer_id), reverse=True)
    return SwarmView(
        info_hash=info_hash,
        looked_at=now if witness is not None else (known.looked_at if known else None),
        witness=witness if witness is not None else (known.witness if known else None),
        holders=tuple(alive[:HOLDERS_MAX]),
        mirrors=known.mirrors if known else None,
        scrape=known.scrape if known else None,
    )


def _newer(older: Holder, fresh: Holder) -> Holder:
    """Join two sightings of one peer; within one look the union, over time the fresh word (pieces may be evicted)."""
    if older.pieces.length != fresh.pieces.length:
        return fresh
    same_look = older.last_contact == fresh.last_contact
    pieces = older.pieces | fresh.pieces if same_look else fresh.pieces
    grew = pieces.count() > older.pieces.count() and not same_look
    listens = older if older.witness is Witness.WIRE_PROBE and fresh.witness is not Witness.WIRE_PROBE else fresh
    return replace(
        fresh,
        address=listens.address,
        client=fresh.client or older.client,
        smartnode=fresh.smartnode or older.smartnode,
        pieces=pieces,
        first_seen=min(older.first_seen, fresh.first_seen),
        progressed_at=fresh.last_contact if grew else older.progressed_at,
        witness=listens.witness,
        upload_only=fresh.upload_only or (same_look and older.upload_only),
        rate=_rate(older, fresh),
    )


def _rate(older: Holder, fresh: Holder) -> float | None:
    """Return pieces gained per second since *older*, its rate again when that was less than 20 s ago."""
    apart_s = (fresh.last_contact - older.last_contact).total_seconds()
    if apart_s < RATE_APART_S:
        return older.rate
    return max(0, fresh.pieces.count() - older.pieces.count()) / apart_s
