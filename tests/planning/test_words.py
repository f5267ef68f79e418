"""The volunteer's word goes before every rule, and never past the quota or the host's protection."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout, PieceRange
from smartnode.domain.plan import Plan, Rule
from smartnode.domain.wishes import NO_WISHES, Wish, Wishes, Word
from smartnode.planning.difference import difference
from smartnode.planning.policy import Policy
from smartnode.planning.segments import Cut
from tests.planning.test_laws import Case, applied, cases

LAYOUT = Layout(total_size=Bytes(3200), piece_length=Bytes(10))
HALF = Bitfield.from_ranges([PieceRange(first=0, last=159)], 320)
FULL = Bitfield.full(320)
AT = datetime(2026, 2, 1, tzinfo=UTC)


@st.composite
def spoken(draw: st.DrawFn, world: Any) -> tuple[Case, Wishes]:
    """Draw a world and words about some of its torrents, and about one that is not in it."""
    case = draw(cases(world))
    words = {name: draw(st.sampled_from([None, Word.PINNED, Word.EXCLUDED])) for name in case.layouts}
    words[world.info_hash(99)] = draw(st.sampled_from(Word))
    return case, Wishes(
        pinned=frozenset(name for name, word in words.items() if word is Word.PINNED),
        excluded=frozenset(name for name, word in words.items() if word is Word.EXCLUDED),
    )


def held_segments(case: Case, names: frozenset[InfoHash]) -> set[tuple[InfoHash, PieceRange]]:
    """Every segment of *names* of which this node holds a piece."""
    found = set()
    for name in names & case.holdings.keys():
        cut = Cut.of(case.layouts[name])
        touched = cut.touched(case.holdings[name].have.to_array()).nonzero()[0].tolist()
        found |= {(name, cut.pieces(number)) for number in touched}
    return found


def leaving(plan: Plan) -> list[tuple[InfoHash, PieceRange]]:
    """What the plan lets go, or would if it were permitted, by its own order of torrents."""
    return [(e.info_hash, s) for e in plan.evict for s in e.segments if e.info_hash is not None]


@given(st.data())
def test_pinned_is_let_go_last_and_for_the_host_only(world: Any, data: st.DataObject) -> None:
    """A pinned segment is in the evictions only below keep_free, once everything that is not pinned goes too; over the
    quota it is not even named.
    """
    case, wishes = data.draw(spoken(world))
    plan = case.plan(world, wishes=wishes)
    gone = {(each.info_hash, each.pieces) for each in plan.evictions}
    if any(name in wishes.pinned for name, _ in gone):
        assert case.room.below_floor
        others = frozenset(case.layouts) - wishes.pinned
        assert held_segments(case, others) <= gone
    assert not any(entry.info_hash in wishes.pinned for entry in plan.evict if not entry.permitted)


@given(st.data())
def test_excluded_is_never_fetched(world: Any, data: st.DataObject) -> None:
    """Nothing of it is planned, started or still on its way afterwards, and its items say so; what is held stays,
    unless the host needs its disk.
    """
    case, wishes = data.draw(spoken(world))
    plan = case.plan(world, wishes=wishes)
    assert not any(each.info_hash in wishes.excluded for each in (*plan.order, *plan.fetch))
    declined = {entry.item for entry in plan.declined if entry.because.rule is Rule.EXCLUDED}
    offered = {c.item.key for c in case.candidates if c.item.torrent and c.item.torrent.info_hash in wishes.excluded}
    assert declined == offered
    change = difference(plan, holdings=case.holdings, room=case.room, policy=Policy(), layouts=case.layouts)
    for name in wishes.excluded & case.holdings.keys():
        have = case.holdings[name].have
        after = change.wanted.get(name, case.holdings[name].wanted)
        assert not (after - have).count()
        assert case.room.below_floor or after & have == have


@given(st.data())
def test_excluded_is_the_first_to_leave(world: Any, data: st.DataObject) -> None:
    """Where anything else goes, or would go over the quota, all that is held of what is excluded goes before it."""
    case, wishes = data.draw(spoken(world))
    order = leaving(case.plan(world, wishes=wishes))
    excluded = held_segments(case, wishes.excluded)
    if any(name not in wishes.excluded for name, _ in order):
        assert excluded <= set(order)


@given(st.data())
def test_pinned_comes_first_and_whole(world: Any, data: st.DataObject) -> None:
    """All pinned segments come before all others, whatever their coverage; one that is missing in the plan did not fit
    what the others of the pinned left.
    """
    case, wishes = data.draw(spoken(world))
    plan = case.plan(world, wishes=wishes)
    pinned = [each for each in plan.order if each.info_hash in wishes.pinned]
    assert list(plan.order[: len(pinned)]) == pinned
    assert all((e.because.rule is Rule.PINNED) == (e.info_hash in wishes.pinned) for e in plan.fetch)
    left = case.room.free - sum(each.bytes for each in pinned)
    for entry in plan.declined:
        if entry.info_hash in wishes.pinned and entry.segments:
            assert entry.because.rule is Rule.NO_ROOM
            assert all(_cost(case, entry.info_hash, pieces) > left for pieces in entry.segments)


def _cost(case: Case, name: InfoHash, pieces: PieceRange) -> int:
    """Bytes of a segment that are neither held nor promised."""
    layout, segment = case.layouts[name], Bitfield.from_ranges([pieces], case.layouts[name].num_pieces)
    holding = case.holdings.get(name)
    return layout.bytes_in(segment if holding is None else segment - (holding.have | holding.wanted))


@given(st.data())
def test_words_never_grow_past_the_quota(world: Any, data: st.DataObject) -> None:
    """The target fits the free quota and what starts fits quota, disk and pace, whatever was pinned; applied, the plan
    comes to rest.
    """
    case, wishes = data.draw(spoken(world))
    policy = Policy(pace=data.draw(st.sampled_from([0.02, 0.1, 1.0])))
    plan = case.plan(world, policy=policy, wishes=wishes)
    assert sum(entry.bytes for entry in plan.fetch) <= case.room.free
    change = difference(plan, holdings=case.holdings, room=case.room, policy=policy, layouts=case.layouts)
    started = [segment.bytes for segment in change.started]
    assert sum(started) <= max(0, min(case.room.free, case.room.disk_room))
    assert sum(started) <= policy.pace * case.room.quota or len(started) == 1


@given(st.data())
def test_a_plan_with_words_comes_to_rest(world: Any, data: st.DataObject) -> None:
    """Once the whole target is held or in flight, planning with the same words fetches nothing more."""
    case, wishes = data.draw(spoken(world))
    case = replace(case, room=replace(case.room, disk_free=Bytes(10**9), keep_free=Bytes(0)))
    policy = Policy(pace=1.0)
    first = case.plan(world, policy=policy, wishes=wishes)
    change = difference(first, holdings=case.holdings, room=case.room, policy=policy, layouts=case.layouts)
    if change.dropped:
        return  # room came back
    after = applied(case, dict(change.wanted), arrived=data.draw(st.booleans()))
    assert after.plan(world, policy=policy, wishes=wishes).order == ()


@given(st.data())
def test_the_order_of_words_is_irrelevant(world: Any, data: st.DataObject) -> None:
    """Words are a set: said in any order they make the same plan; a word about an unknown torrent changes nothing."""
    case, wishes = data.draw(spoken(world))
    said = [Wish(info_hash=h, word=Word.PINNED, item=h, at=AT) for h in wishes.pinned]
    said += [Wish(info_hash=h, word=Word.EXCLUDED, item=h, at=AT) for h in wishes.excluded]
    again = Wishes.of(data.draw(st.permutations(said)))
    assert again == wishes
    known = frozenset(case.layouts)
    heard = Wishes(pinned=wishes.pinned & known, excluded=wishes.excluded & known)
    assert case.plan(world, wishes=again) == case.plan(world, wishes=heard)
    assert case.plan(world, wishes=NO_WISHES) == case.plan(world)


def test_a_word_is_one_of_two(world: Any) -> None:
    """No torrent is pinned and excluded at once; the last of several words about one torrent counts."""
    name = world.info_hash(1)
    with pytest.raises(ValueError, match="pinned and excluded at once"):
        Wishes(pinned=frozenset({name}), excluded=frozenset({name}))
    words = [Wish(info_hash=name, word=word, item="c/x", at=AT) for word in (Word.PINNED, Word.EXCLUDED)]
    assert Wishes.of(words).word(name) is Word.EXCLUDED
    assert Wishes.of(words[:1]).word(name) is Word.PINNED
    assert NO_WISHES.word(name) is None


def test_pinned_beats_what_is_rarer(world: Any) -> None:
    """An item with many copies that is pinned fills the quota before one that nobody holds; both say why."""
    candidates = [world.candidate(1), world.candidate(2)]
    views = {world.info_hash(1): world.view(1), world.info_hash(2): world.seeds(2, LAYOUT, 40)}
    wishes = Wishes(pinned=frozenset({world.info_hash(2)}))
    plan: Plan = world.plan(candidates, world.room(4000), views=views, wishes=wishes)
    assert [(e.item.id, e.because.rule, e.bytes) for e in plan.fetch] == [
        ("item002", Rule.PINNED, 3200),
        ("item001", Rule.AT_RISK, 800),
    ]
    assert plan.fetch[0].because.text.startswith(
        "pinned: the volunteer wants it, whatever its coverage; 40 other copies"
    )
    assert plan.fetch[0].because.evidence["word"] == "pinned"
    small: Plan = world.plan(candidates, world.room(1600), views=views, wishes=wishes)
    assert {e.because.text.partition(":")[0] for e in small.declined if e.info_hash == world.info_hash(2)} == {
        "no room for all that is pinned"
    }


def test_what_is_held_of_excluded_says_so(world: Any) -> None:
    """The item is declined as excluded, its promises are dropped, and the entry of what is kept says why; a word holds
    also for what no catalogue offers.
    """
    holdings = {world.info_hash(1): world.holding(1, LAYOUT, HALF, FULL)}
    room = world.room(9999, holdings)
    wishes = Wishes(excluded=frozenset({world.info_hash(1)}))
    for candidates in ([world.candidate(1)], []):
        plan: Plan = world.plan(candidates, room, holdings=holdings, wishes=wishes)
        assert [(e.because.rule, e.bytes) for e in plan.declined] == [(Rule.EXCLUDED, 3200)] * len(candidates)
        (kept,) = plan.keep
        assert kept.bytes == 1600
        assert "1600 bytes no longer asked for: the volunteer excluded it" in kept.because.text
        assert "nothing more of it is fetched" in kept.because.text
        change = difference(plan, holdings=holdings, room=room, policy=Policy(), layouts={})
        assert change.wanted == {world.info_hash(1): HALF}
        assert not change.evict


def test_excluded_goes_before_what_is_better_covered(world: Any) -> None:
    """A swarm that nobody looked at goes last; once the volunteer excluded it, it goes before one with four seeds, and
    over the quota it is the one that waits.
    """
    holdings = {world.info_hash(n): world.holding(n, LAYOUT, FULL) for n in (1, 2)}
    candidates, views = [world.candidate(n) for n in (1, 2)], {world.info_hash(2): world.seeds(2, LAYOUT, 4)}
    wishes = Wishes(excluded=frozenset({world.info_hash(1)}))
    low = world.room(6400, holdings, disk_free=0, keep_free=3201)
    for said, order in ((NO_WISHES, (2, 1)), (wishes, (1, 2))):
        plan: Plan = world.plan(candidates, low, views=views, holdings=holdings, wishes=said)
        names = [e.info_hash for e in plan.evictions]
        assert names == [world.info_hash(order[0])] * 32 + [world.info_hash(order[1])]
    over = replace(world.room(6400, holdings), quota=Bytes(6300))
    waiting: Plan = world.plan(candidates, over, views=views, holdings=holdings, wishes=wishes)
    assert {(e.info_hash, e.permitted) for e in waiting.evict} == {(world.info_hash(1), False)}


def test_pinned_is_forced_out_loudly(world: Any) -> None:
    """keep_free takes what is pinned when nothing else is left, and says that it was pinned."""
    holdings = {world.info_hash(n): world.holding(n, LAYOUT, FULL) for n in (1, 2)}
    room = world.room(6400, holdings, disk_free=0, keep_free=3201)
    wishes = Wishes(pinned=frozenset({world.info_hash(1)}))
    plan: Plan = world.plan([world.candidate(n) for n in (1, 2)], room, holdings=holdings, wishes=wishes)
    assert [e.info_hash for e in plan.evictions] == [world.info_hash(2)] * 32 + [world.info_hash(1)]
    assert "it is pinned, and nothing else is left to go" in plan.evict[1].because.text
    assert "pinned" not in plan.evict[0].because.text
    assert "pinned by the volunteer" in plan.keep[0].because.text


def test_a_withdrawal_goes_before_a_pin(world: Any) -> None:
    """What its publisher withdrew is not fetched, pinned or not."""
    wishes = Wishes(pinned=frozenset({world.info_hash(1)}))
    plan: Plan = world.plan([world.candidate(1, unpublished=AT)], world.room(9999), wishes=wishes)
    assert plan.fetch == ()
    assert [e.because.rule for e in plan.declined] == [Rule.UNPUBLISHED]
