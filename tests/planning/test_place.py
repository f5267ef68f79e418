"""A place without a copy: by what is known of live mirrors alone, worth as much as demand, and only to who is there."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.pieces import Bitfield
from smartnode.domain.plan import Plan
from smartnode.planning.place import NOWHERE, Place
from smartnode.planning.policy import Policy
from smartnode.planning.survey import credit_of

ONTARIO = Place(region="ca-on", jurisdiction="CA")
REGIONS = st.lists(st.none() | st.sampled_from(["ca-on", "CA-ON", "ca-qc", "ca-central-1", "us-west-2", "cat", ""]))
PLACES = st.builds(
    Place, region=st.sampled_from([None, "ca-on", "nl"]), jurisdiction=st.sampled_from([None, "ca", "us", "eu"])
)


@pytest.mark.parametrize(
    ("place", "regions", "missing"),
    [
        (ONTARIO, [], "ca-on"),  # no mirror anywhere
        (ONTARIO, ["us-west-2"], "ca-on"),
        (ONTARIO, ["us-west-2", "CA-On"], None),
        (ONTARIO, ["ca-qc"], "ca-on"),  # its jurisdiction has a copy, its region has none
        (Place(jurisdiction="CA"), ["ca-qc"], None),
        (Place(jurisdiction="ca"), ["ca-central-1"], None),
        (Place(jurisdiction="ca"), ["cat"], "ca"),
        (Place(region="ca-on"), ["ca"], "ca-on"),  # somewhere in Canada is not known to be here
        (ONTARIO, ["us-west-2", None], None),  # that one may be here
        (ONTARIO, [None], None),
        (NOWHERE, ["us-west-2"], None),
    ],
)
def test_where_no_mirror_is(place: Place, regions: list[str | None], missing: str | None) -> None:
    """Each live mirror's region, as stated, against the node's own."""
    assert place.without(len(regions), regions) == missing


def test_what_was_not_looked_at_may_be_here() -> None:
    """Unknown mirrors, and ones whose regions were not told, make nothing worth more."""
    assert ONTARIO.without(None, []) is None
    assert ONTARIO.without(None, ["us-west-2"]) is None
    assert ONTARIO.without(2, ["us-west-2"]) is None


@given(place=PLACES, regions=REGIONS, more=REGIONS, dice=st.randoms(use_true_random=False))
def test_another_mirror_never_raises_the_value(
    place: Place, regions: list[str | None], more: list[str | None], dice: Any
) -> None:
    """Wherever it is: a copy here stays one, so that u never falls with a mirror more; order does not matter."""
    after = [*regions, *more]
    before, then = place.without(len(regions), regions), place.without(len(after), after)
    assert before is not None or then is None
    shuffled = list(after)
    dice.shuffle(shuffled)
    assert place.without(len(after), shuffled) == then
    u = [
        credit_of(len(each), Policy()) - (math.log(1.5) / 1.2 if p else 0)
        for each, p in ((regions, before), (after, then))
    ]
    assert u[1] >= u[0]


def planned(world: Any, keyed: Any, policy: Policy, **given: Any) -> dict[str, Any]:
    """Why two items with one copy each stand where they do: a mirror of the first is in Ontario, of the second not."""
    candidates = [world.candidate(n) for n in (1, 2)]
    regions = {1: ("ca-on",), 2: ("us-west-2",)}
    views = keyed(*(world.seeds(n, candidates[0].layout, 1, mirrors=1, regions=r) for n, r in regions.items()))
    plan: Plan = world.plan(candidates, world.room(10**5), views=views, policy=policy, **given)
    return {e.item.id: e.because for e in (*plan.fetch, *plan.declined, *plan.keep)}


def test_what_has_no_copy_here_comes_before_its_equal(world: Any, keyed: Any) -> None:
    """By ln(1.5) / lambda, and the plan says so; to a node elsewhere, or one that does not say where it is, both are
    worth the same.
    """
    here = planned(world, keyed, Policy(place=ONTARIO))
    assert here["item001"].evidence["u"] - here["item002"].evidence["u"] == pytest.approx(math.log(1.5) / 1.2)
    assert here["item001"].evidence["no_mirror_in"] is None
    assert here["item002"].evidence["no_mirror_in"] == "ca-on"
    assert "no live mirror in ca-on" in here["item002"].text
    for elsewhere in (Place(region="nl"), NOWHERE):
        found = planned(world, keyed, Policy(place=elsewhere))
        assert found["item001"].evidence["u"] == found["item002"].evidence["u"]


def test_what_this_node_holds_changes_no_value(world: Any, keyed: Any) -> None:
    """Held or not, the segment is worth the same here, or it would be let go because it was fetched."""
    policy, full = Policy(place=ONTARIO), Bitfield.full(320)
    holdings = keyed(*(world.holding(n, world.candidate(n).layout, full) for n in (1, 2)))
    held = planned(world, keyed, policy, holdings=holdings)
    assert held["item002"].evidence["no_mirror_in"] == "ca-on"
