"""Who wants an item counts as value, and only who really does: no smartnode, no partial seed, no guess."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from smartnode.domain.pieces import Bitfield
from smartnode.domain.tracker import Scrape
from smartnode.planning.demand import Demand, demand
from smartnode.planning.health import distinct
from smartnode.planning.policy import Policy

PIECES = 320


def counted(world: Any, now: int | None, before: int | None, *, days: float = 3) -> Scrape:
    """Completed downloads as a tracker counted them, now and *days* ago."""
    at = world.now - timedelta(days=days)
    return Scrape(at=world.now, complete=1, incomplete=1, downloaded=now, downloaded_before=before, before_at=at)


def seen(world: Any, *holders: Any, own: Any = None, scrape: Scrape | None = None) -> Demand:
    """The demand for a torrent with *holders*."""
    view = replace(world.view(1, *holders), scrape=scrape)
    return demand(view, distinct(view.holders, world.node), own, policy=Policy(), now=world.now)


def leecher(world: Any, number: int = 1, **changed: Any) -> Any:
    """A foreign peer with one piece out of 320."""
    return world.holder(number, Bitfield.from_indices([0], PIECES), **changed)


@pytest.mark.parametrize(
    ("changed", "slow"),
    [
        ({"rate": 0.0}, 1),  # it stands still
        ({"rate": 318 / 86_400}, 1),  # a little more than a day
        ({"rate": 320 / 86_400}, 0),  # a little less
        ({"rate": None}, 0),  # seen once: unknown
        ({"rate": 0.0, "upload_only": True}, 0),  # BEP 21: it wants nothing more
        ({"rate": 0.0, "smartnode": True}, 0),  # it places copies
        ({"rate": 0.0, "pieces": Bitfield.full(PIECES)}, 0),  # a seed
        ({"rate": 0.0, "last_contact": None}, 0),  # gone for a day
    ],
)
def test_a_slow_leecher_is_a_foreign_peer_that_needs_more_than_a_day(
    world: Any, changed: dict[str, Any], slow: int
) -> None:
    """Each condition alone decides."""
    if "last_contact" in changed:
        changed = changed | {"last_contact": world.now - timedelta(days=1)}
    one = leecher(world)
    assert seen(world, replace(one, **changed)).slow == slow


@pytest.mark.parametrize(
    ("scrape", "downloads"),
    [
        ((7, 4, 3), 3),
        ((4, 4, 3), 0),
        ((3, 4, 3), None),  # the tracker began anew
        ((None, 4, 3), None),
        ((7, None, 3), None),
        ((7, 4, 8), None),  # counts more than a week apart say nothing about now
    ],
)
def test_downloads_are_the_difference_of_two_counts(
    world: Any, scrape: tuple[int | None, int | None, float], downloads: int | None
) -> None:
    """None where it is not known; never negative."""
    now, before, days = scrape
    assert seen(world, scrape=counted(world, now, before, days=days)).downloads == downloads


def test_nodes_that_became_whole_are_no_downloads(world: Any) -> None:
    """A smartnode that became whole since the first count is taken off, this node too; an older one is not."""
    whole = Bitfield.full(PIECES)
    layout = world.candidate(1).layout
    fresh = world.holder(1, whole, smartnode=True, first_seen=world.now - timedelta(days=1))
    old = world.holder(2, whole, smartnode=True, first_seen=world.now - timedelta(days=5))
    scrape = counted(world, 9, 4)
    assert seen(world, fresh, old, scrape=scrape).downloads == 4
    assert seen(world, fresh, old, scrape=scrape, own=world.holding(1, layout, whole)).downloads == 3
    assert seen(world, fresh, scrape=counted(world, 4, 4)).downloads == 0


def test_an_item_in_demand_comes_before_its_equal(world: Any, keyed: Any) -> None:
    """Of two swarms with one copy each the wanted one stands ln(1.5) / lambda lower; the plan says why."""
    first, second = world.candidate(1), world.candidate(2)
    views = [world.seeds(1, first.layout, 1), world.seeds(2, second.layout, 1)]
    views[1] = replace(views[1], scrape=counted(world, 7, 4))
    plan = world.plan([first, second], world.room(6400), views=keyed(*views))
    by_hash = {entry.info_hash: entry.because for entry in plan.fetch}
    calm, wanted = by_hash[world.info_hash(1)], by_hash[world.info_hash(2)]
    assert calm.evidence["u"] - wanted.evidence["u"] == pytest.approx(0.3379, abs=1e-4)
    assert wanted.evidence["downloads_in_a_week"] == 3
    assert "in demand: 3 downloads in a week" in wanted.text
    assert "demand" not in calm.text
