"""The book of liars: found by id or by network, for a day, and never more than so many."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.swarm import Address
from smartnode.swarm.liars import LIARS_MAX, MEMORY, Liars

NOW = datetime(2026, 11, 25, tzinfo=UTC)
THERE = Address(host="93.184.1.9", port=6881)
ELSEWHERE = Address(host="8.8.8.8", port=6881)
LIAR, OTHER = b"-SN0001-liarliarliar", b"-SN0001-otherotherot"


def book_of_one() -> Liars:
    """A book with one lie."""
    liars = Liars()
    liars.note(THERE, LIAR, reason="it sent other bytes", now=NOW)
    return liars


def test_a_liar_is_found_by_its_id_and_by_its_network() -> None:
    """Neither a new id nor a new network makes it honest; who shares neither is not blamed."""
    liars = book_of_one()
    for address, peer_id in ((THERE, LIAR), (ELSEWHERE, LIAR), (Address(host="93.184.1.77", port=9), OTHER)):
        lie = liars.find(address, peer_id, now=NOW)
        assert lie is not None
        assert (lie.peer_id, lie.network, lie.reason) == (LIAR, "93.184.1.0/24", "it sent other bytes")
    assert liars.find(ELSEWHERE, OTHER, now=NOW) is None


def test_a_network_of_ipv6_is_a_48() -> None:
    """One customer of an IPv6 provider is one network."""
    liars = Liars()
    liars.note(Address(host="2001:db8:1:2::1", port=6881), LIAR, reason="x", now=NOW)
    assert liars.find(Address(host="2001:db8:1:ffff::9", port=6881), OTHER, now=NOW) is not None
    assert liars.find(Address(host="2001:db8:2::1", port=6881), OTHER, now=NOW) is None


def test_a_lie_is_forgotten_after_a_day() -> None:
    """24 h and no longer, whether or not anything else happens; a clock that jumped back forgets as well."""
    liars = book_of_one()
    assert liars.find(THERE, LIAR, now=NOW + MEMORY - timedelta(seconds=1)) is not None
    assert liars.find(THERE, LIAR, now=NOW + MEMORY) is None
    assert liars.find(THERE, LIAR, now=NOW - MEMORY) is None
    assert liars.lies(NOW + MEMORY) == ()


def test_who_lies_again_is_remembered_from_then() -> None:
    """The day begins anew."""
    liars = book_of_one()
    later = NOW + timedelta(hours=20)
    liars.note(THERE, LIAR, reason="again", now=later)
    lie = liars.find(THERE, LIAR, now=NOW + timedelta(hours=40))
    assert lie is not None
    assert (lie.at, lie.reason) == (later, "again")


def test_who_lies_again_is_not_the_next_to_go() -> None:
    """Where the book is full, the oldest lie goes, and a repeated one is new."""
    liars = Liars(most=2)
    places = [Address(host=f"93.184.{n}.1", port=6881) for n in (1, 2, 1, 3)]
    for second, place in enumerate(places):
        liars.note(place, place.host.encode(), reason="x", now=NOW + timedelta(seconds=second))
    assert liars.find(places[0], b"93.184.1.1", now=NOW) is not None
    assert liars.find(places[1], b"93.184.2.1", now=NOW) is None


def test_what_is_recalled_is_older_or_newer() -> None:
    """Lies from before a restart join those of now; of two about one peer the later counts, whichever came first."""
    liars = book_of_one()
    (lie,) = liars.lies(NOW)
    older = replace(lie, at=NOW - timedelta(hours=1))
    elsewhere = replace(older, peer_id=OTHER, network=ELSEWHERE.network)
    liars.recall([elsewhere, older])
    assert liars.lies(NOW) == (elsewhere, lie)
    newer = replace(lie, at=NOW + timedelta(hours=1))
    liars.recall([newer])
    assert liars.find(THERE, LIAR, now=NOW) == newer


def test_a_flood_from_one_network_pushes_out_no_other() -> None:
    """Ten thousand new ids in one /24 fill their own place: the older liar is still found where it was."""
    liars = Liars(most=100)
    liars.note(THERE, LIAR, reason="x", now=NOW)
    for n in range(1000):
        liars.note(ELSEWHERE, n.to_bytes(20, "big"), reason="x", now=NOW)
    assert liars.find(THERE, OTHER, now=NOW) is not None
    assert len(liars.lies(NOW)) <= 200


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9), st.integers(0, 100_000)), max_size=60))
def test_the_book_is_bounded_and_keeps_the_last(noted: list[tuple[int, int, int]]) -> None:
    """At most so many of either, the last lie always among them; what is read out makes the same book again."""
    liars = Liars(most=5)
    for network, peer, second in noted:
        address, peer_id = Address(host=f"93.184.{network}.1", port=6881), bytes([peer]) * 20
        now = NOW + timedelta(seconds=second)
        liars.note(address, peer_id, reason="x", now=now)
        assert liars.find(address, peer_id, now=now) is not None
        lies = liars.lies(now)
        assert len(lies) <= 10
        assert all(abs(now - lie.at) < MEMORY for lie in lies)
        assert set(Liars(lies, most=5).lies(now)) <= set(lies)
    assert LIARS_MAX == 10_000
