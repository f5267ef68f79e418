"""Views grow by evidence only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness
from smartnode.domain.tracker import Scrape
from smartnode.swarm.views import HOLDERS_MAX, merge

HASH = InfoHash("ab" * 20)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
MEMORY = timedelta(hours=72)


def holder(
    number: int, pieces: set[int], at: datetime, *, port: int = 6881, witness: Witness = Witness.WIRE_PROBE
) -> Holder:
    """A holder with a peer id of its own."""
    return Holder(
        address=Address(host=f"127.0.{number}.1", port=port),
        peer_id=number.to_bytes(20, "big"),
        client="smartnode/1 (d4c/1)",
        smartnode=True,
        pieces=Bitfield.from_indices(pieces, 10),
        first_seen=at,
        last_contact=at,
        progressed_at=None,
        witness=witness,
    )


def look(
    known: SwarmView | None, *seen: Holder, at: datetime, witness: Witness | None = Witness.WIRE_PROBE
) -> SwarmView:
    """One look with a memory of 72 h."""
    return merge(known, info_hash=HASH, seen=seen, witness=witness, now=at, memory=MEMORY)


def test_a_look_that_learned_nothing_keeps_what_was_known() -> None:
    """Unknown is not zero: peers that do not answer neither vanish nor make the view fresh."""
    known = look(None, holder(1, {1}, T0), at=T0)
    later = look(known, at=T0 + timedelta(hours=1), witness=None)
    assert later == known
    assert look(None, at=T0, witness=None).looked_at is None


def test_seen_to_be_none_is_knowledge() -> None:
    """A lookup that says that nobody is there makes the view fresh with no holder."""
    view = look(None, at=T0, witness=Witness.DHT)
    assert (view.looked_at, view.witness, view.holders) == (T0, Witness.DHT, ())


def test_a_silent_holder_is_remembered_for_t_mem_and_then_forgotten() -> None:
    """An offline holder counts for 72 h, not a second longer."""
    known = look(None, holder(1, {1}, T0), at=T0)
    assert look(known, at=T0 + MEMORY).holders
    assert not look(known, at=T0 + MEMORY + timedelta(seconds=1)).holders


def test_one_peer_is_one_holder_at_the_address_where_it_listens() -> None:
    """A peer seen by probe and by connection in one look counts once, with the union of its pieces."""
    view = look(None, holder(1, {1, 2}, T0), holder(1, {2, 3}, T0, port=50_000, witness=Witness.PEER_INFO), at=T0)
    assert len(view.holders) == 1
    assert view.holders[0].pieces.indices() == [1, 2, 3]
    assert view.holders[0].address.port == 6881


def test_pieces_that_were_let_go_are_not_remembered() -> None:
    """A later look replaces the bitfield: evictions elsewhere must be seen."""
    later = T0 + timedelta(minutes=15)
    view = look(look(None, holder(1, {1, 2}, T0), at=T0), holder(1, {2}, later), at=later)
    assert view.holders[0].pieces.indices() == [2]
    assert view.holders[0].first_seen == T0
    assert view.holders[0].progressed_at is None


def test_progress_is_noticed() -> None:
    """A holder with more pieces than at the last look is downloading."""
    later = T0 + timedelta(minutes=15)
    view = look(look(None, holder(1, {1}, T0), at=T0), holder(1, {1, 2}, later), at=later)
    assert view.holders[0].progressed_at == later


def test_a_new_peer_at_a_known_address_replaces_the_old_one() -> None:
    """A restart under a fresh id must not count as two copies."""
    later = T0 + timedelta(minutes=15)
    old, new = holder(1, {1}, T0), holder(2, {1}, later)
    moved = look(
        look(None, old, at=T0),
        Holder(**{f: getattr(new, f) for f in new.__slots__} | {"address": old.address}),
        at=later,
    )
    assert [h.peer_id for h in moved.holders] == [new.peer_id]


def test_the_rate_is_measured_between_sightings_that_are_apart() -> None:
    """Pieces per second; None before the second sighting, kept while sightings are closer than 20 s, never negative."""
    first = look(None, holder(1, {1}, T0), at=T0)
    assert first.holders[0].rate is None
    at = T0 + timedelta(seconds=19)
    close = look(first, holder(1, {1, 2}, at), at=at)
    assert close.holders[0].rate is None
    at += timedelta(seconds=20)
    apart = look(close, holder(1, {1, 2, 3, 4}, at), at=at)
    assert apart.holders[0].rate == 2 / 20
    at += timedelta(seconds=5)
    assert look(apart, holder(1, {1}, at), at=at).holders[0].rate == 2 / 20
    at += timedelta(seconds=100)
    assert look(apart, holder(1, {1}, at), at=at).holders[0].rate == 0


def test_what_a_peer_wants_is_its_fresh_word() -> None:
    """upload_only follows the last sighting; within one look the probe's word stays when peer_info does not say it."""
    probed = replace(holder(1, {1}, T0), upload_only=True)
    view = look(None, probed, holder(1, {1}, T0, port=50_000, witness=Witness.PEER_INFO), at=T0)
    assert view.holders[0].upload_only
    later = T0 + timedelta(minutes=15)
    assert not look(view, holder(1, {1}, later), at=later).holders[0].upload_only


def test_a_look_keeps_what_trackers_and_mirrors_said() -> None:
    """Counts and web seeds come from others and are not a look's to forget."""
    scrape = Scrape(at=T0, complete=3, incomplete=1, downloaded=None)
    known = replace(look(None, holder(1, {1}, T0), at=T0), scrape=scrape, mirrors=2)
    after = look(known, holder(1, {1}, T0), at=T0)
    assert (after.scrape, after.mirrors) == (scrape, 2)


def test_a_crowd_is_bounded() -> None:
    """A swarm of thousands keeps the 200 most recently seen holders."""
    crowd = [holder(1, {1}, T0 + timedelta(seconds=n)) for n in range(300)]
    crowd = [
        Holder(
            **{f: getattr(h, f) for f in h.__slots__}
            | {"peer_id": n.to_bytes(20, "big"), "address": Address(host="127.0.0.1", port=2000 + n)}
        )
        for n, h in enumerate(crowd)
    ]
    view = look(None, *crowd, at=T0 + timedelta(seconds=300))
    assert len(view.holders) == HOLDERS_MAX
    assert min(h.last_contact for h in view.holders) == T0 + timedelta(seconds=100)
