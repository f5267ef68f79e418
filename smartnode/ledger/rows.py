"""Domain values as rows and back; a row that no longer makes sense is left out, never guessed at.

Times are seconds since 1970 in UTC; bitfields are compressed, their length stands beside them. Texts of others are
bounded and made encodable.
"""

import zlib
from datetime import UTC, datetime
from typing import Any

from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash, info_hash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness

Row = tuple[Any, ...]

TEXT_MAX = 1_000
BITFIELD_MAX_BYTES = 1 << 18  # 2^21 pieces, the most that a torrent may have here

_NONSENSE = (ValueError, TypeError, OverflowError, OSError, AttributeError, zlib.error)


def view_row(view: SwarmView) -> Row:
    """Return a view as a row of ``views``."""
    return view.info_hash, _stamp(view.looked_at), view.witness.value if view.witness else None, view.mirrors


def view_of(row: Row, holders: tuple[Holder, ...]) -> SwarmView | None:
    """Return the view of a row of ``views``, None when the row makes no sense."""
    name, looked_at, witness, mirrors = row
    try:
        return SwarmView(
            info_hash=info_hash(name),
            looked_at=_time(looked_at),
            witness=None if witness is None else Witness(witness),
            holders=holders,
            mirrors=None if mirrors is None else int(mirrors),
        )
    except _NONSENSE:
        return None


def holder_row(info_hash: InfoHash, holder: Holder) -> Row:
    """Return a holder as a row of ``holders``."""
    return (
        info_hash,
        holder.peer_id,
        holder.address.host,
        holder.address.port,
        None if holder.client is None else _text(holder.client),
        int(holder.smartnode),
        zlib.compress(holder.pieces.bits),
        holder.pieces.length,
        _stamp(holder.first_seen),
        _stamp(holder.last_contact),
        _stamp(holder.progressed_at),
        holder.witness.value,
    )


def holder_of(row: Row) -> Holder | None:
    """Return the holder of a row of ``holders`` without its info-hash; None when the row makes no sense."""
    peer_id, host, port, client, smartnode, packed, length, first_seen, last_contact, progressed_at, witness = row
    try:
        return Holder(
            address=Address(host=str(host), port=int(port)),
            peer_id=bytes(memoryview(peer_id)),
            client=client,
            smartnode=bool(smartnode),
            pieces=Bitfield(zlib.decompressobj().decompress(packed, BITFIELD_MAX_BYTES), length),
            first_seen=datetime.fromtimestamp(first_seen, UTC),
            last_contact=datetime.fromtimestamp(last_contact, UTC),
            progressed_at=_time(progressed_at),
            witness=Witness(witness),
        )
    except _NONSENSE:
        return None


def decision_row(decision: Decision) -> Row:
    """Return a decision as a row of ``decisions`` without its number."""
    return (
        _stamp(decision.at),
        decision.cycle,
        decision.action,
        _text(decision.item),
        decision.info_hash,
        decision.segments,
        decision.bytes,
        decision.rule,
        _text(decision.because),
        _text(decision.outcome),
    )


def decision_of(row: Row) -> Decision | None:
    """Return the decision of a row of ``decisions`` without its number; None when the row makes no sense."""
    at, cycle, action, item, torrent, segments, size, rule, because, outcome = row
    try:
        return Decision(
            at=datetime.fromtimestamp(at, UTC),
            cycle=int(cycle),
            action=action,
            item=item,
            info_hash=torrent,
            segments=int(segments),
            bytes=int(size),
            rule=rule,
            because=because,
            outcome=outcome,
        )
    except _NONSENSE:
        return None


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _time(stamped: float | None) -> datetime | None:
    return None if stamped is None else datetime.fromtimestamp(stamped, UTC)


def _text(text: str) -> str:
    """Cut to TEXT_MAX characters; a lone surrogate (a file name that is not UTF-8) becomes a question mark."""
    return text[:TEXT_MAX].encode("utf-8", "replace").decode()
