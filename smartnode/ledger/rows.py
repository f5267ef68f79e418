"""Domain values as rows and back; a row that no longer makes sense is left out, never guessed at.

Times are seconds since 1970 in UTC; bitfields are compressed, their length stands beside them.
"""

import zlib
from datetime import UTC, datetime
from typing import Any

from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, Witness

Row = tuple[Any, ...]


def stamp(at: datetime | None) -> float | None:
    """Return seconds since 1970, None for never."""
    return None if at is None else at.timestamp()


def time_of(stamped: float | None) -> datetime | None:
    """Return an aware UTC datetime, None for never."""
    return None if stamped is None else datetime.fromtimestamp(stamped, UTC)


def holder_row(info_hash: InfoHash, holder: Holder) -> Row:
    """Return a holder as a row of ``holders``."""
    return (
        info_hash,
        holder.peer_id,
        holder.address.host,
        holder.address.port,
        holder.client,
        int(holder.smartnode),
        zlib.compress(holder.pieces.bits),
        holder.pieces.length,
        stamp(holder.first_seen),
        stamp(holder.last_contact),
        stamp(holder.progressed_at),
        holder.witness.value,
    )


def holder_of(row: Row) -> Holder | None:
    """Return the holder of a row of ``holders`` without its info-hash; None when the row is damaged."""
    peer_id, host, port, client, smartnode, packed, length, first_seen, last_contact, progressed_at, witness = row
    try:
        return Holder(
            address=Address(host=host, port=port),
            peer_id=peer_id,
            client=client,
            smartnode=bool(smartnode),
            pieces=Bitfield(zlib.decompress(packed), length),
            first_seen=datetime.fromtimestamp(first_seen, UTC),
            last_contact=datetime.fromtimestamp(last_contact, UTC),
            progressed_at=time_of(progressed_at),
            witness=Witness(witness),
        )
    except (ValueError, TypeError, zlib.error):
        return None


def decision_row(decision: Decision) -> Row:
    """Return a decision as a row of ``decisions`` without its number."""
    return (
        stamp(decision.at),
        decision.cycle,
        decision.action,
        decision.item,
        decision.info_hash,
        decision.segments,
        decision.bytes,
        decision.rule,
        decision.because,
        decision.outcome,
    )


def decision_of(row: Row) -> Decision:
    """Return the decision of a row of ``decisions`` without its number."""
    at, cycle, action, item, info_hash, segments, size, rule, because, outcome = row
    return Decision(
        at=datetime.fromtimestamp(at, UTC),
        cycle=cycle,
        action=action,
        item=item,
        info_hash=info_hash,
        segments=segments,
        bytes=size,
        rule=rule,
        because=because,
        outcome=outcome,
    )
