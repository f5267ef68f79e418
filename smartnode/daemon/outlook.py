"""The network around the node in a few lines: which trackers, web seeds and DHT nodes are not there, and why.

A tracker is met twice: the engine announces what is held, the swarm room asks about everything else. Readers see one
row per tracker, with the newer news of the two.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror
from smartnode.domain.tracker import TrackerHealth

TRACKERS_SAID = 5
DHT_MAY_TAKE = timedelta(minutes=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


def join(announced: Iterable[TrackerHealth], asked: Iterable[TrackerHealth]) -> tuple[TrackerHealth, ...]:
    """Return one row per tracker, ordered by address. Torrents and silence are those that announce; whether it answers
    is what was seen last.
    """
    joined = {tracker.url: tracker for tracker in asked}
    for tracker in announced:
        other = joined.get(tracker.url)
        newer = tracker if other is None or _seen_at(tracker) >= _seen_at(other) else other
        answers = [each.answered_at for each in (tracker, other) if each is not None and each.answered_at is not None]
        joined[tracker.url] = replace(
            newer, torrents=tracker.torrents, silent=tracker.silent, answered_at=max(answers, default=None)
        )
    return tuple(sorted(joined.values(), key=lambda t: t.url))


def by_torrent(mirrors: Iterable[Mirror]) -> dict[InfoHash, tuple[Mirror, ...]]:
    """Group web seeds by their torrent, in the given order."""
    found: dict[InfoHash, list[Mirror]] = {}
    for mirror in mirrors:
        found.setdefault(mirror.info_hash, []).append(mirror)
    return {info_hash: tuple(named) for info_hash, named in found.items()}


def trackers_degraded(trackers: Sequence[TrackerHealth]) -> list[str]:
    """Return one line for each tracker that does not answer or leaves torrents silent, at most five and a count."""
    lines = [line for tracker in trackers for line in _lines(tracker)]
    more = [f"swarm: {len(lines) - TRACKERS_SAID} more lines about trackers, see status --json"]
    return lines if len(lines) <= TRACKERS_SAID else [*lines[:TRACKERS_SAID], *more]


def dht_degraded(*, enabled: bool, nodes: int, up: timedelta, proxied: bool) -> list[str]:
    """Return a line when the DHT is on and nobody is in it; it may take two minutes to find the first."""
    if not enabled or nodes or up < DHT_MAY_TAKE:
        return []
    cure = "; behind a proxy network.dht_bootstrap needs addresses, names would be looked up past it" if proxied else ""
    return [f"swarm: the DHT has no nodes; peers are found by trackers and other peers only{cure}"]


def _lines(tracker: TrackerHealth) -> list[str]:
    if tracker.failures:
        since = "yet" if tracker.answered_at is None else f"since {tracker.answered_at:%Y-%m-%d %H:%M} UTC"
        return [f"swarm: tracker {tracker.url} does not answer {since} ({tracker.reason})"]
    refused = [f"swarm: tracker {tracker.url} refuses torrents ({tracker.reason})"] if tracker.reason else []
    if not tracker.silent:
        return refused
    return [*refused, f"swarm: {tracker.silent} of {tracker.torrents} torrents are overdue at tracker {tracker.url}"]


def _seen_at(tracker: TrackerHealth) -> datetime:
    return max((at for at in (tracker.answered_at, tracker.failed_at) if at is not None), default=_NEVER)
