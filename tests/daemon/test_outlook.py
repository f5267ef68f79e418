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


def test_a_tracker_is_one_row_with_the_better_news() -> None:
    """Announces that fail beside scrapes that work, and the other way round: it answers; the later answer is shown."""
    dead = tracker(failures=2, reason="timed out", silent=1)
    alive = tracker(torrents=900, answered_at=T0 - timedelta(hours=1))
    (row,) = join([dead], [alive])
    assert (row.reason, row.torrents, row.silent, row.answered_at) == ("", 3, 1, T0 - timedelta(hours=1))
    (row,) = join([tracker()], [tracker(reason="timed out", failures=1)])
    assert (row.reason, row.failures) == ("", 0)
    assert [t.url for t in join([tracker("udp://b:1/")], [tracker("udp://a:1/")])] == ["udp://a:1/", "udp://b:1/"]


def test_each_silent_tracker_is_a_line_up_to_five() -> None:
    """A line says since when and why; more than five become a count."""
    assert trackers_degraded([tracker()]) == []
    assert trackers_degraded([tracker(reason="timed out"), tracker("udp://b:1/", reason="x", answered_at=None)]) == [
        "swarm: tracker udp://a:1/announce does not answer since 2026-01-01 12:00 UTC (timed out)",
        "swarm: tracker udp://b:1/ does not answer yet (x)",
    ]
    assert trackers_degraded([tracker(silent=2)]) == [
        "swarm: 2 of 3 torrents are overdue at tracker udp://a:1/announce"
    ]
    many = trackers_degraded([tracker(f"udp://{n}:1/", reason="x") for n in range(9)])
    assert len(many) == 6
    assert many[-1].startswith("swarm: 4 more")


def test_an_empty_dht_is_said_after_a_while() -> None:
    """Not while it starts, not when it is off, not when somebody is there."""
    late, early = timedelta(minutes=3), timedelta(minutes=1)
    assert len(dht_degraded(enabled=True, nodes=0, up=late)) == 1
    assert not any(
        dht_degraded(enabled=on, nodes=nodes, up=up)
        for on, nodes, up in ((True, 0, early), (False, 0, late), (True, 1, late))
    )
