"""Which swarms are looked at."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartnode.cycle.looking import FRESH, choose, probe_budget
from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import SwarmView, Witness
from smartnode.domain.tracker import Scrape

T0 = datetime(2026, 1, 1, tzinfo=UTC)
AGES = st.dictionaries(st.integers(0, 50), st.none() | st.integers(0, 200))
COUNTS = st.dictionaries(st.integers(0, 50), st.none() | st.integers(0, 9))


def torrent(number: int) -> InfoHash:
    """The info-hash *number*."""
    return InfoHash(f"{number:040x}")


def views_of(ages: dict[int, int | None]) -> dict[InfoHash, SwarmView]:
    """Swarms that were looked at so many minutes ago, or never."""
    return {
        torrent(n): SwarmView(
            info_hash=torrent(n),
            looked_at=None if age is None else T0 - timedelta(minutes=age),
            witness=None if age is None else Witness.DHT,
        )
        for n, age in ages.items()
    }


def scrapes_of(counts: dict[int, int | None]) -> dict[InfoHash, Scrape]:
    """So many peers counted in each swarm; None: the tracker gave no figure."""
    return {torrent(n): Scrape(at=T0, complete=count, incomplete=None, downloaded=None) for n, count in counts.items()}


@given(AGES, COUNTS, st.integers(0, 60))
def test_half_of_the_looks_go_to_the_stalest(
    ages: dict[int, int | None], counts: dict[int, int | None], count: int
) -> None:
    """As many as asked for, each once; no swarm that is left out is staler than one of the stale half, whatever
    trackers count: every swarm's turn comes.
    """
    views = views_of(ages)
    chosen = choose(views, views=views, scrapes=scrapes_of(counts), count=count, now=T0)
    assert len(chosen) == len(set(chosen)) == min(count, len(views))
    half = chosen[: count - count // 2]
    oldest_left = [views[h].looked_at or T0 - timedelta(days=9) for h in views if h not in chosen]
    youngest_chosen = [views[h].looked_at or T0 - timedelta(days=9) for h in half]
    assert not oldest_left or not youngest_chosen or max(youngest_chosen) <= min(oldest_left)


@given(AGES, COUNTS, st.integers(0, 60))
def test_the_other_half_goes_where_few_are_counted(
    ages: dict[int, int | None], counts: dict[int, int | None], count: int
) -> None:
    """Of the swarms that were not looked at within the hour none with fewer counted peers is left out; a swarm that
    nobody counted is not taken for an empty one.
    """
    views, scrapes = views_of(ages), scrapes_of(counts)
    chosen = choose(views, views=views, scrapes=scrapes, count=count, now=T0)

    def peers(info_hash: InfoHash) -> float:
        scrape = scrapes.get(info_hash)
        return float("inf") if scrape is None or scrape.complete is None else scrape.complete

    few = chosen[count - count // 2 :]
    left = [h for h in views if h not in chosen and (views[h].looked_at or T0 - FRESH) <= T0 - FRESH]
    asked = [h for h in few if (views[h].looked_at or T0 - FRESH) <= T0 - FRESH]
    assert not left or not asked or max(map(peers, asked)) <= min(map(peers, left))


def test_an_empty_swarm_is_not_looked_at_again_and_again() -> None:
    """A count of nobody does not bring a swarm back within the hour."""
    views = views_of({0: 5, 1: 30, 2: 90, 3: 80})
    chosen = choose(views, views=views, scrapes=scrapes_of({0: 0, 1: 0, 3: 7}), count=2, now=T0)
    assert chosen == [torrent(2), torrent(3)]


def test_the_budget_follows_the_catalogue() -> None:
    """Ten swarms at least, one in a thousand for large catalogues, or what the volunteer says."""
    assert [probe_budget(n, None) for n in (0, 9_000, 50_000)] == [10, 10, 50]
    assert probe_budget(50_000, 3) == 3
