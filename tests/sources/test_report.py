"""What a person reads of web seeds: few lines, each with place, torrent, reason and time."""

from datetime import UTC, datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.sources.report import LINES_MAX, lines, place

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def gone(url: str, until: datetime | None = None) -> Mirror:
    """A web seed that is gone."""
    return Mirror(
        info_hash=InfoHash("ab" * 20),
        url=url,
        state=MirrorState.GONE,
        target=url,
        reason="it answers 404 Not Found",
        checked_at=NOW,
        until=until,
    )


def test_a_line_says_where_which_why_and_when() -> None:
    """Host and path, no query; the rest is counted."""
    failing = [gone(f"https://h.example/{n}?token=secret", NOW + timedelta(hours=1)) for n in range(9)]
    said = lines(failing, [(InfoHash("cd" * 20), "why")], NOW)
    assert said[0] == (
        "sources: h.example/0 of abababab: it answers 404 Not Found, asked again at 2026-11-23T13:00:00Z"
    )
    assert len(said) == LINES_MAX + 2
    assert said[-2:] == ("sources: the web seeds of cdcdcdcd are not used: why", "sources: 4 more do not serve")
    assert "secret" not in "".join(said)
    assert lines([], [], NOW) == ()


def test_long_places_are_cut_and_what_is_due_is_asked_at_once() -> None:
    """A line stays a line."""
    assert len(place(f"https://h.example/{'x' * 2000}")) == 80
    assert lines([gone("https://h/x")], [], NOW)[0].endswith("asked again at once")
