"""Domain values as rows and back; a row that no longer makes sense is left out, never guessed at.

Times are seconds since 1970 in UTC; bitfields are compressed, their length stands beside them. Texts of others are
bounded and made encodable.
"""

import zlib
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import numpy as np

from smartnode.domain.decision import Decision
from smartnode.domain.identity import InfoHash, info_hash, node_id
from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.domain.pieces import Bitfield
from smartnode.domain.proof import Lie
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.domain.tenure import Tenure
from smartnode.domain.tracker import Scrape
from smartnode.domain.wishes import Wish, Word

Row = tuple[Any, ...]

TEXT_MAX = 1_000
BITFIELD_MAX_BYTES = 1 << 18  # 2^21 pieces, the most that a torrent may have here
SINCE_MAX_BYTES = 1 << 19  # 2^16 segments of 8 bytes: 64 TiB
_SECONDS = "<i8"

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
        int(holder.upload_only),
        holder.rate,
    )


def holder_of(row: Row) -> Holder | None:
    """Return the holder of a row of ``holders`` without its info-hash; None when the row makes no sense."""
    peer_id, host, port, client, smartnode, packed, length, first_seen, last_contact, progressed_at, *rest = row
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
            witness=Witness(rest[0]),
            upload_only=bool(rest[1]),
            rate=None if rest[2] is None else float(rest[2]),
        )
    except _NONSENSE:
        return None


def tenure_row(tenure: Tenure) -> Row:
    """Return who was seen with what since when as a row of ``tenures``."""
    packed = zlib.compress(tenure.since.astype(_SECONDS).tobytes())
    return tenure.info_hash, bytes(tenure.node), _stamp(tenure.at), packed


def tenure_of(row: Row) -> Tenure | None:
    """Return what a row of ``tenures`` says; None when the row makes no sense."""
    name, peer_id, at, packed = row
    unpacking = zlib.decompressobj()
    try:
        since = np.frombuffer(unpacking.decompress(packed, SINCE_MAX_BYTES), _SECONDS).astype(np.int64)
        if not unpacking.eof:
            return None
        return Tenure(
            info_hash=info_hash(name),
            node=node_id(bytes(memoryview(peer_id))),
            at=datetime.fromtimestamp(at, UTC),
            since=since,
        )
    except _NONSENSE:
        return None


def scrape_row(info_hash: InfoHash, scrape: Scrape) -> Row:
    """Return what trackers counted as a row of ``scrapes``."""
    return (
        info_hash,
        _stamp(scrape.at),
        scrape.complete,
        scrape.incomplete,
        scrape.downloaded,
        scrape.downloaded_before,
        _stamp(scrape.before_at),
    )


def scrape_of(row: Row) -> tuple[InfoHash, Scrape] | None:
    """Return torrent and counts of a row of ``scrapes``; None when the row makes no sense."""
    name, at, complete, incomplete, downloaded, downloaded_before, before_at = row
    try:
        return info_hash(name), Scrape(
            at=datetime.fromtimestamp(at, UTC),
            complete=_count(complete),
            incomplete=_count(incomplete),
            downloaded=_count(downloaded),
            downloaded_before=_count(downloaded_before),
            before_at=_time(before_at),
        )
    except _NONSENSE:
        return None


def mirror_row(mirror: Mirror) -> Row:
    """Return a web seed as a row of ``mirrors``."""
    return (
        mirror.info_hash,
        mirror.url,
        mirror.state.value,
        mirror.target,
        _text(mirror.reason),
        _stamp(mirror.checked_at),
        _stamp(mirror.hashed_at),
        _stamp(mirror.until),
        mirror.failures,
        mirror.validator,
    )


def mirror_of(row: Row) -> Mirror | None:
    """Return the web seed of a row of ``mirrors``; None when the row makes no sense."""
    name, url, state, target, reason, checked_at, hashed_at, until, failures, validator = row
    try:
        return Mirror(
            info_hash=info_hash(name),
            url=str(url),
            state=MirrorState(state),
            target=str(target),
            reason=str(reason),
            checked_at=datetime.fromtimestamp(checked_at, UTC),
            hashed_at=_time(hashed_at),
            until=_time(until),
            failures=int(failures),
            validator=None if validator is None else str(validator),
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


def wish_row(wish: Wish) -> Row:
    """Return the volunteer's word as a row of ``words``."""
    return wish.info_hash, wish.word.value, _text(wish.item), _stamp(wish.at)


def wish_of(row: Row) -> Wish | None:
    """Return the volunteer's word of a row of ``words``; None when the row makes no sense."""
    name, word, item, at = row
    try:
        return Wish(info_hash=info_hash(name), word=Word(word), item=str(item), at=datetime.fromtimestamp(at, UTC))
    except _NONSENSE:
        return None


def lie_row(lie: Lie) -> Row:
    """Return a lie as a row of ``lies``."""
    return lie.peer_id, lie.network, _stamp(lie.at), _text(lie.reason)


def lie_of(row: Row) -> Lie | None:
    """Return the lie of a row of ``lies``; None when the row makes no sense."""
    peer_id, network, at, reason = row
    try:
        who = node_id(bytes(memoryview(peer_id)))
        return Lie(
            peer_id=who, network=str(ip_network(network)), at=datetime.fromtimestamp(at, UTC), reason=str(reason)
        )
    except _NONSENSE:
        return None


def _count(stored: int | None) -> int | None:
    return None if stored is None else int(stored)


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _time(stamped: float | None) -> datetime | None:
    return None if stamped is None else datetime.fromtimestamp(stamped, UTC)


def _text(text: str) -> str:
    """Cut to TEXT_MAX characters; a lone surrogate (a file name that is not UTF-8) becomes a question mark."""
    return text[:TEXT_MAX].encode("utf-8", "replace").decode()
