"""A live mirror is worth less than a copy, all together at most one; more of them never put anything at risk."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.plan import Plan
from smartnode.planning.guard import Stakes, holders_required
from smartnode.planning.policy import Policy
from smartnode.planning.survey import credit_of
from smartnode.planning.terms import Terms

COUNTS = st.none() | st.integers(0, 20)


@given(one=COUNTS, other=COUNTS, kappa=st.floats(0, 1), floor=st.integers(0, 5), shrunk=st.booleans())
def test_more_mirrors_never_raise_the_risk(
    one: int | None, other: int | None, kappa: float, floor: int, *, shrunk: bool
) -> None:
    """The coverage never falls with a mirror more, and no eviction needs more holders for it; unknown is as none."""
    few, many = sorted((one, other), key=lambda n: n or 0)
    policy, terms = Policy(kappa=kappa), Terms()
    assert 0 <= credit_of(few, policy) <= credit_of(many, policy) <= 1
    needs = [holders_required(Stakes(floor=floor, shrunk=shrunk, mirrors=n), terms) for n in (few, many, None, 0)]
    assert needs[0] >= needs[1] >= 1
    assert needs[2] == needs[3] >= needs[0]


@pytest.mark.parametrize(("copies", "lost"), [(0, 0.0), (1, 1.0), (4, 1.0)])
def test_a_superseded_version_that_lost_its_mirrors_is_more_at_risk(
    world: Any, keyed: Any, copies: int, lost: float
) -> None:
    """It loses the whole credit and comes before its equals; without any copy there was none to lose."""
    candidates = [world.candidate(n, deprecated=True) for n in (1, 2)]
    views = keyed(*(world.seeds(n, candidates[n - 1].layout, copies, mirrors=m) for n, m in ((1, 2), (2, 0))))
    plan: Plan = world.plan(candidates, world.room(6400), views=views)
    u = {entry.info_hash: entry.because.evidence["u"] for entry in (*plan.fetch, *plan.declined)}
    assert u[world.info_hash(1)] - u[world.info_hash(2)] == lost
    small: Plan = world.plan(candidates, world.room(3200), views=views)
    share = {entry.item.id: entry.bytes for entry in small.fetch}
    assert (share["item002"] == 3200) == bool(copies)
