"""Published values as JSON: keys are the public contract, times are RFC 3339 in UTC, pieces are inclusive indices."""

from collections import Counter
from datetime import datetime
from typing import Any

from smartnode.domain.catalogue import Item
from smartnode.domain.decision import Decision
from smartnode.domain.holding import Holding
from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.domain.pieces import Bitfield
from smartnode.domain.plan import Plan, PlanEntry
from smartnode.domain.status import HeldItem, NodeStatus
from smartnode.domain.swarm import Holder, SwarmView
from smartnode.domain.tracker import Scrape, TrackerHealth
from smartnode.domain.wishes import Wish, Word
from smartnode.planning.segments import Cut

Json = dict[str, Any]


def time_text(at: datetime | None) -> str | None:
    """Return RFC 3339 in UTC to the second, None for never."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def age_s(at: datetime | None, now: datetime) -> float | None:
    """Return whole seconds since *at*, None for never."""
    return None if at is None else round((now - at).total_seconds())


def status_json(status: NodeStatus, now: datetime) -> Json:
    """Return the node in one object."""
    holdings = [held.holding for held in status.held.values()]
    catalogue = status.catalogue
    return {
        "state": status.state.value,
        "degraded": list(status.degraded),
        "quota_bytes": status.room.quota if status.room else None,
        "held_bytes": sum(h.held_bytes for h in holdings),
        "allocated_bytes": status.room.allocated if status.room else None,
        "in_flight_bytes": sum(h.in_flight_bytes for h in holdings),
        "disk_free_bytes": status.room.disk_free if status.room else None,
        "keep_free_bytes": status.room.keep_free if status.room else None,
        "items_held": sum(1 for h in holdings if h.have.count()),
        "segments_held": sum(len(segments_json(h)) for h in holdings),
        "catalogue": {
            "seq": catalogue.seq,
            "items": catalogue.items,
            "with_torrent": catalogue.with_torrent,
            "verified": catalogue.verified,
            "age_s": age_s(catalogue.accepted_at, now),
            "source": catalogue.source,
        },
        "cycle": status.cycle,
        "at": time_text(status.at),
        "version": status.version,
        "name": status.name,
        "network_id": status.network_id,
        "node_id": status.node_id.hex(),
        "listen_port": status.listen_port,
        "proxy": status.proxy,
        "trackers": [tracker_json(t, now) for t in status.trackers],
        "mirrors": _mirror_counts(status),
    }


def held_json(held: HeldItem, word: Word | None) -> Json:
    """Return one held torrent as a row of ``list``; *word*: what the volunteer said of it."""
    holding = held.holding
    return {
        "item": str(held.item.key) if held.item else None,
        "info_hash": holding.info_hash,
        "item_bytes": holding.layout.total_size,
        "held_bytes": holding.held_bytes,
        "in_flight_bytes": holding.in_flight_bytes,
        "pieces": holding.layout.num_pieces,
        "have": ranges_json(holding.have),
        "segments": segments_json(holding),
        "partial": holding.have.count() < holding.layout.num_pieces,
        "peers": holding.peers,
        "uploaded_bytes": holding.uploaded,
        "downloaded_bytes": holding.downloaded,
        "failure": holding.failure,
        "word": word,
    }


def wish_json(wish: Wish) -> Json:
    """Return one word of the volunteer, held or not."""
    return {"item": wish.item, "info_hash": wish.info_hash, "word": wish.word, "said_at": time_text(wish.at)}


def segments_json(holding: Holding) -> list[list[int]]:
    """Return the whole segments held as [first, last] pairs."""
    cut = Cut.of(holding.layout)
    whole = cut.whole(holding.have.to_array()).nonzero()[0].tolist()
    return [[pieces.first, pieces.last] for pieces in map(cut.pieces, whole)]


def ranges_json(pieces: Bitfield) -> list[list[int]]:
    """Return the set as maximal [first, last] runs."""
    return [[r.first, r.last] for r in pieces.ranges()]


def item_json(item: Item) -> Json:
    """Return what the catalogue says of one item."""
    torrent = item.torrent
    return {
        "item": str(item.key),
        "title": item.title,
        "version": item.version,
        "doi": item.doi,
        "deprecated": item.deprecated,
        "unpublished": time_text(item.unpublished),
        "priority": item.priority,
        "target_replicas": item.target_replicas,
        "info_hash": torrent.info_hash if torrent else None,
        "item_bytes": torrent.size if torrent else None,
        "web_seeds": list(item.web_seeds),
    }


def tracker_json(tracker: TrackerHealth, now: datetime) -> Json:
    """Return how one tracker answers."""
    return {
        "url": tracker.url,
        "torrents": tracker.torrents,
        "age_s": age_s(tracker.answered_at, now),
        "failures": tracker.failures,
        "reason": tracker.reason,
        "silent": tracker.silent,
    }


def mirror_json(mirror: Mirror, now: datetime) -> Json:
    """Return one web seed of one torrent: what is known of it, and why it is not used."""
    return {
        "url": mirror.url,
        "state": mirror.state.value,
        "reason": mirror.reason,
        "age_s": age_s(mirror.checked_at, now),
        "hashed_at": time_text(mirror.hashed_at),
        "asked_again_at": time_text(mirror.until),
        "failures": mirror.failures,
    }


def _mirror_counts(status: NodeStatus) -> Json:
    states = Counter(mirror.state.value for mirrors in status.mirrors.values() for mirror in mirrors)
    return {state.value: states[state.value] for state in MirrorState}


def _scrape_json(scrape: Scrape | None, now: datetime) -> Json | None:
    if scrape is None:
        return None
    return {
        "age_s": age_s(scrape.at, now),
        "complete": scrape.complete,
        "incomplete": scrape.incomplete,
        "downloaded": scrape.downloaded,
        "downloaded_before": scrape.downloaded_before,
        "before_at": time_text(scrape.before_at),
    }


def view_json(view: SwarmView, now: datetime) -> Json:
    """Return what is known of a swarm, each fact with witness and age."""
    return {
        "looked_at": time_text(view.looked_at),
        "age_s": age_s(view.looked_at, now),
        "witness": view.witness.value if view.witness else None,
        "mirrors": view.mirrors,
        "scrape": _scrape_json(view.scrape, now),
        "holders": [_holder_json(h, now) for h in view.holders],
    }


def _holder_json(holder: Holder, now: datetime) -> Json:
    return {
        "address": str(holder.address),
        "client": holder.client,
        "smartnode": holder.smartnode,
        "pieces": holder.pieces.count(),
        "pieces_of": holder.pieces.length,
        "upload_only": holder.upload_only,
        "pieces_per_s": holder.rate,
        "witness": holder.witness.value,
        "first_seen": time_text(holder.first_seen),
        "age_s": age_s(holder.last_contact, now),
    }


def entry_json(entry: PlanEntry) -> Json:
    """Return one decision of a plan."""
    return {
        "item": str(entry.item),
        "info_hash": entry.info_hash,
        "segments": [[s.first, s.last] for s in entry.segments],
        "bytes": entry.bytes,
        "item_bytes": entry.item_bytes,
        "permitted": entry.permitted,
        "because": {
            "rule": entry.because.rule.value,
            "text": entry.because.text,
            "evidence": entry.because.evidence,
            "change": entry.because.change,
        },
    }


def plan_json(plan: Plan) -> Json:
    """Return a whole plan."""
    return {
        "fetch": [entry_json(e) for e in plan.fetch],
        "keep": [entry_json(e) for e in plan.keep],
        "evict": [entry_json(e) for e in plan.evict],
        "declined": [entry_json(e) for e in plan.declined],
        "quota_bytes": plan.quota_bytes,
        "capacity_bytes": plan.capacity,
        "level": plan.level,
        "fetch_level": plan.fetch_level,
        "degraded": list(plan.degraded),
    }


def decision_json(decision: Decision) -> Json:
    """Return one row of the ledger's decisions."""
    return {
        "at": time_text(decision.at),
        "cycle": decision.cycle,
        "action": decision.action,
        "item": decision.item,
        "info_hash": decision.info_hash,
        "segments": decision.segments,
        "bytes": decision.bytes,
        "rule": decision.rule,
        "because": decision.because,
        "outcome": decision.outcome,
    }


def why_json(status: NodeStatus, item: Item, now: datetime) -> Json:
    """Return one item with all the evidence: catalogue, holding, view, and what the last plan said of it."""
    torrent = item.torrent
    held = status.held.get(torrent.info_hash) if torrent else None
    view = status.views.get(torrent.info_hash) if torrent else None
    word = next((w.word for w in status.wishes if torrent and w.info_hash == torrent.info_hash), None)
    plan = status.plan
    said = {}
    if plan is not None:
        told = {"fetch": plan.fetch, "keep": plan.keep, "evict": plan.evict}
        said = {name: [e for e in entries if e.item == item.key] for name, entries in told.items()}
        said["declined"] = list(plan.declined.of(item.key))
    return {
        **item_json(item),
        "word": word,
        "held": held_json(held, word) if held else None,
        "view": view_json(view, now) if view else None,
        "mirrors": [mirror_json(m, now) for m in (status.mirrors.get(torrent.info_hash, ()) if torrent else ())],
        "level": None if plan is None else plan.level,
        "plan": {name: [entry_json(e) for e in entries] for name, entries in said.items()},
    }
