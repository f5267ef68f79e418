"""Each torrent is placed once; each item that cannot be placed says why; unusable claims reach no array."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smartnode.domain.pieces import Bitfield
from smartnode.domain.plan import Plan, Rule
from smartnode.planning.policy import Candidate, Policy

PAST = datetime(2026, 2, 1, tzinfo=UTC)


def _declined(plan: Plan) -> list[tuple[str, Rule, int]]:
    return [(entry.item.id, entry.because.rule, entry.bytes) for entry in plan.declined]


def test_reasons_to_decline(world: Any) -> None:
    """No torrent, no piece length, unpublished and no room are declined, once per item, with their bytes."""
    bare = world.candidate(9, id="bare")
    candidates = [
        world.candidate(1, id="good"),
        replace(bare, item=replace(bare.item, torrent=None), layout=None),
        world.candidate(2, piece=None, id="uncut"),
        world.candidate(3, unpublished=PAST, id="withdrawn"),
        world.candidate(4, unpublished=world.now + timedelta(days=1), id="later"),
    ]
    plan: Plan = world.plan(candidates, world.room(3200))
    assert _declined(plan)[:3] == [
        ("bare", Rule.NO_TORRENT, 0),
        ("uncut", Rule.NO_PIECE_LENGTH, 3200),
        ("withdrawn", Rule.UNPUBLISHED, 3200),
    ]
    assert {rule for _, rule, _ in _declined(plan)[3:]} == {Rule.NO_ROOM}
    assert sum(size for _, rule, size in _declined(plan) if rule is Rule.NO_ROOM) == 3200
    assert {entry.item.id for entry in plan.fetch} <= {"good", "later"}
    assert "no room: 3200 bytes of the quota are free" in plan.declined[-1].because.text


def test_unbounded_claims_are_declined(world: Any) -> None:
    """A row that claims a million million pieces is declined, not allocated for."""
    plan: Plan = world.plan([world.candidate(1, size=10**12, piece=1)], world.room(10**6))
    assert _declined(plan) == [("item001", Rule.NO_PIECE_LENGTH, 10**12)]
    assert "no usable cut" in plan.declined[0].because.text


@pytest.mark.parametrize("reverse", [False, True])
def test_one_torrent_under_two_ids(world: Any, *, reverse: bool) -> None:
    """One info-hash is placed once, as the first id that can be; the others say as which."""
    candidates: list[Candidate] = [
        world.candidate(1, id="a", unpublished=PAST),
        world.candidate(1, id="b"),
        world.candidate(1, id="c", priority=5),
        world.candidate(1, id="d", piece=None),
    ]
    plan: Plan = world.plan(candidates[::-1] if reverse else candidates, world.room(6400))
    assert [(entry.item.id, entry.bytes) for entry in plan.fetch] == [("b", 3200)]
    assert _declined(plan) == [(name, Rule.SAME_TORRENT, 3200) for name in ("a", "c", "d")]
    assert {entry.because.evidence["placed_as"] for entry in plan.declined} == {"c/b"}


def test_a_holding_knows_its_cut(world: Any) -> None:
    """The checked layout of what is held outweighs the catalogue's claim, and cuts a row that has none."""
    layout = world.candidate(1).layout
    held = {world.info_hash(1): world.holding(1, layout, Bitfield.from_indices(range(10), 320))}
    for claim in (world.candidate(1, piece=None), world.candidate(1, size=999, piece=7)):
        plan: Plan = world.plan([claim], world.room(3200, held), holdings=held)
        assert sum(entry.bytes for entry in plan.fetch) == 3100
        assert plan.keep[0].item == claim.item.key


def test_two_withdrawn_ids_of_one_holding(world: Any) -> None:
    """A holding that only refused items name goes by the first of them."""
    layout = world.candidate(1).layout
    held = {world.info_hash(1): world.holding(1, layout, Bitfield.full(320))}
    candidates = [world.candidate(1, id="y", unpublished=PAST), world.candidate(1, id="x", unpublished=PAST)]
    plan: Plan = world.plan(candidates, world.room(6400, held), holdings=held)
    assert [entry.item.id for entry in plan.keep] == ["x"]
    assert _declined(plan) == [("x", Rule.UNPUBLISHED, 3200), ("y", Rule.UNPUBLISHED, 3200)]


def test_an_empty_world(world: Any) -> None:
    """Nothing to place is a plan too."""
    plan: Plan = world.plan([], world.room(100))
    assert (plan.fetch, plan.keep, plan.evict, plan.declined, plan.order) == ((), (), (), (), ())
    assert (plan.level, plan.fetch_level, plan.capacity, plan.degraded) == (None, None, 0, ())


@pytest.mark.parametrize(
    "wrong", [{"pace": 0.0}, {"pace": 1.1}, {"kappa": -1.0}, {"lambda_": 0.0}, {"gamma": 0.05}, {"t_mem": timedelta(0)}]
)
def test_policy_ranges(wrong: dict[str, Any]) -> None:
    """A parameter outside its range is refused."""
    with pytest.raises(ValueError, match="not Policy"):
        Policy(**wrong)
