"""Which swarms are looked at."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha1

from hypothesis import given
from hypothesis import strategies as st

from smartnode.cycle.looking import choose, probe_budget
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, node_id
from smartnode.domain.swarm import SwarmView, Witness
from smartnode.domain.tracker import Scrape

T0 = datetime(2026, 1, 1, tzinfo=UTC)
NODE = node_id(NODE_ID_PREFIX + bytes(12))
AGES = st.dictionaries(st.integers(0, 50), st.none() | st.integers(0, 200))
COUNTS = st.dictionaries(st.integers(0, 50), st.none() | st.integers(0, 9))


def torrent(number: int) -> InfoHash:
    """The info-hash *number*."""
    return InfoHash(sha1(str(number).encode(), usedforsecurity=False).hexdigest())


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
    chosen = choose(views, views=views, scrapes=scrapes_of(counts), count=count, node=NODE, now=T0)
    assert len(chosen) == len(set(chosen)) == min(count, len(views))
    half = chosen[: count - count // 2]
    oldest_left = [views[h].looked_at or T0 - timedelta(days=9) for h in views if h not in chosen]
    youngest_chosen = [views[h].looked_at or T0 - timedelta(days=9) for h in half]
    assert not oldest_left or not youngest_chosen or max(youngest_chosen) <= min(oldest_left)


def test_the_other_half_goes_where_few_are_counted() -> None:
    """Over many nodes the fewer peers are counted the more look there; nobody counted is not few."""
    views = views_of(dict.fromkeys(range(40), 90))
    scrapes = scrapes_of({n: None if n == 39 else 4**n for n in (*range(8), 39)})
    looks: Counter[InfoHash] = Counter()
    for number in range(400):
        name = node_id(NODE_ID_PREFIX + number.to_bytes(12, "big"))
        chosen = choose(views, views=views, scrapes=scrapes, count=2, node=name, now=T0)
        looks[chosen[1]] += 1
    assert looks[torrent(0)] > looks[torrent(2)] > looks[torrent(5)]
    assert looks[torrent(39)] == 0
    assert sum(looks[torrent(n)] for n in range(8)) == 400


def test_nodes_do_not_herd() -> None:
    """At the first cycle of all, with nothing seen and nothing counted, fifty nodes look at many swarms."""
    views = views_of(dict.fromkeys(range(1000)))
    names = [node_id(NODE_ID_PREFIX + number.to_bytes(12, "big")) for number in range(50)]
    looks = Counter(h for name in names for h in choose(views, views=views, scrapes={}, count=10, node=name, now=T0))
    assert len(looks) > 300
    assert max(looks.values()) <= 5


def test_an_empty_swarm_is_not_looked_at_again_and_again() -> None:
    """A count of nobody does not bring a swarm back within the hour."""
    views = views_of({0: 5, 1: 30, 2: 90, 3: 80})
    chosen = choose(views, views=views, scrapes=scrapes_of({0: 0, 1: 0, 3: 7}), count=2, node=NODE, now=T0)
    assert chosen == [torrent(2), torrent(3)]


def test_the_budget_follows_the_catalogue() -> None:
    """Ten swarms at least, one in a thousand for large catalogues, or what the volunteer says."""
    assert [probe_budget(n, None) for n in (0, 9_000, 50_000)] == [10, 10, 50]
    assert probe_budget(50_000, 3) == 3
