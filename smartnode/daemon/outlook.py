"""The network around the node in a few lines: which trackers, web seeds and DHT nodes are not there, and why.

A tracker is met twice: the engine announces what is held, the swarm room asks about everything else. Readers see one
row per tracker, with the better news of the two.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror
from smartnode.domain.tracker import TrackerHealth

TRACKERS_SAID = 5
DHT_MAY_TAKE = timedelta(minutes=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


def join(announced: Iterable[TrackerHealth], asked: Iterable[TrackerHealth]) -> tuple[TrackerHealth, ...]:
    """Return one row per tracker, ordered by address. Torrents and silence are those that announce; the answer is the
    later of the two.
    """
    joined = {tracker.url: tracker for tracker in asked}
    for tracker in announced:
        other = joined.get(tracker.url)
        better = tracker if other is None or _answered(tracker) >= _answered(other) else other
        joined[tracker.url] = TrackerHealth(
            url=tracker.url,
            torrents=tracker.torrents,
            answered_at=better.answered_at,
            failures=better.failures,
            reason=better.reason,
            silent=tracker.silent,
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


def dht_degraded(*, enabled: bool, nodes: int, up: timedelta) -> list[str]:
    """Return a line when the DHT is on and nobody is in it; it may take two minutes to find the first."""
    if not enabled or nodes or up < DHT_MAY_TAKE:
        return []
    return ["swarm: the DHT has no nodes; peers are found by trackers and other peers only"]


def _lines(tracker: TrackerHealth) -> list[str]:
    if tracker.reason:
        since = "yet" if tracker.answered_at is None else f"since {tracker.answered_at:%Y-%m-%d %H:%M} UTC"
        return [f"swarm: tracker {tracker.url} does not answer {since} ({tracker.reason})"]
    if tracker.silent:
        return [f"swarm: {tracker.silent} of {tracker.torrents} torrents are overdue at tracker {tracker.url}"]
    return []


def _answered(tracker: TrackerHealth) -> tuple[bool, datetime]:
    return (not tracker.reason, tracker.answered_at or _NEVER)
