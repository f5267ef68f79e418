"""What readers are told of trackers and the DHT: one row per tracker, the better news, a bounded number of lines."""

from datetime import UTC, datetime, timedelta
from typing import Any

from smartnode.daemon.outlook import dht_degraded, join, trackers_degraded
from smartnode.domain.tracker import TrackerHealth

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


def tracker(url: str = "udp://a:1/announce", **changed: Any) -> TrackerHealth:
    """One that answers."""
    values: dict[str, Any] = {"torrents": 3, "answered_at": T0, "failures": 0, "reason": "", "silent": 0}
    return TrackerHealth(url=url, **(values | changed))


def test_a_tracker_is_one_row_with_the_newer_news() -> None:
    """Of announces that fail and scrapes that work the later decides; the last answer of either is shown."""
    hour = timedelta(hours=1)
    failing = tracker(failures=2, reason="timed out", silent=1, answered_at=T0 - hour, failed_at=T0 + hour)
    (row,) = join([failing], [tracker(torrents=900)])
    assert (row.reason, row.torrents, row.silent, row.answered_at) == ("timed out", 3, 1, T0)
    (row,) = join([failing], [tracker(torrents=900, answered_at=T0 + 2 * hour)])
    assert (row.reason, row.failures, row.torrents, row.silent) == ("", 0, 3, 1)
    (row,) = join([tracker()], [failing])
    assert (row.reason, row.silent) == ("timed out", 0)
    assert [t.url for t in join([tracker("udp://b:1/")], [tracker("udp://a:1/")])] == ["udp://a:1/", "udp://b:1/"]


def test_each_silent_tracker_is_a_line_up_to_five() -> None:
    """A line says since when and why; more than five become a count."""
    assert trackers_degraded([tracker()]) == []
    assert trackers_degraded(
        [tracker(failures=1, reason="timed out"), tracker("udp://b:1/", failures=1, reason="x", answered_at=None)]
    ) == [
        "swarm: tracker udp://a:1/announce does not answer since 2026-01-01 12:00 UTC (timed out)",
        "swarm: tracker udp://b:1/ does not answer yet (x)",
    ]
    assert trackers_degraded([tracker(silent=2)]) == [
        "swarm: 2 of 3 torrents are overdue at tracker udp://a:1/announce"
    ]
    assert trackers_degraded([tracker(reason="not listed")]) == [
        "swarm: tracker udp://a:1/announce refuses torrents (not listed)"
    ]
    many = trackers_degraded([tracker(f"udp://{n}:1/", failures=1, reason="x") for n in range(9)])
    assert len(many) == 6
    assert many[-1].startswith("swarm: 4 more")


def test_an_empty_dht_is_said_after_a_while() -> None:
    """Not while it starts, not when it is off, not when somebody is there."""
    late, early = timedelta(minutes=3), timedelta(minutes=1)
    assert len(dht_degraded(enabled=True, nodes=0, up=late, proxied=False)) == 1
    assert "needs addresses" in dht_degraded(enabled=True, nodes=0, up=late, proxied=True)[0]
    assert not any(
        dht_degraded(enabled=on, nodes=nodes, up=up, proxied=False)
        for on, nodes, up in ((True, 0, early), (False, 0, late), (True, 1, late))
    )
