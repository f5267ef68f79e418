"""Which swarms are looked at."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartnode.cycle.looking import probe_budget, stalest
from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import SwarmView, Witness

T0 = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.dictionaries(st.integers(0, 50), st.none() | st.integers(0, 100)), st.integers(0, 60))
def test_never_seen_before_stale_before_fresh(ages: dict[int, int | None], count: int) -> None:
    """No swarm that is left out is staler than one that is chosen, and every swarm's turn comes."""
    views = {
        InfoHash(f"{n:040x}"): SwarmView(
            info_hash=InfoHash(f"{n:040x}"),
            looked_at=None if age is None else T0 - timedelta(minutes=age),
            witness=None if age is None else Witness.DHT,
        )
        for n, age in ages.items()
    }
    chosen = stalest(views, views, count)
    assert len(chosen) == min(count, len(views))
    oldest_left = [views[h].looked_at or T0 - timedelta(days=9) for h in views if h not in chosen]
    youngest_chosen = [views[h].looked_at or T0 - timedelta(days=9) for h in chosen]
    assert not oldest_left or not youngest_chosen or max(youngest_chosen) <= min(oldest_left)


def test_the_budget_follows_the_catalogue() -> None:
    """Ten swarms at least, one in a thousand for large catalogues, or what the volunteer says."""
    assert [probe_budget(n, None) for n in (0, 9_000, 50_000)] == [10, 10, 50]
    assert probe_budget(50_000, 3) == 3
