"""The census counts nodes, not the origin, and says complete only when every piece is on a node."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.cli.demo.census import Calm, Census, Reading, count, reading_of
from smartnode.cli.demo.publication import Publication, publish
from smartnode.cli.demo.samples import Sample
from smartnode.domain.pieces import Bitfield, Bytes, PieceRange


@pytest.fixture
def publication(samples: tuple[Sample, ...], folder: Path) -> Publication:
    """Return the two smallest samples, published; nothing is served."""
    return publish(samples, folder, origin="http://127.0.0.1:1")


def reading(name: str, have: dict[str, Bitfield], *, held: int = 0, cycle: int = 1, in_flight: int = 0) -> Reading:
    """Return what a node might say."""
    return Reading(name=name, have=have, held=Bytes(held), quota=Bytes(100), cycle=cycle, in_flight=Bytes(in_flight))


def test_one_missing_piece_is_not_complete(publication: Publication) -> None:
    """copies_min is over pieces: it is 0, and covered is short by that piece, until the last piece has a holder."""
    first, second = (item.metainfo for item in publication.items)
    last = first.layout.num_pieces - 1
    whole = {second.info_hash: Bitfield.full(second.layout.num_pieces)}
    most = Bitfield.full(first.layout.num_pieces) - Bitfield.from_indices([last], first.layout.num_pieces)
    short = count(publication, [reading("a", {first.info_hash: most}), reading("b", whole)])
    lost = first.layout.bytes_of(PieceRange(first=last, last=last))
    assert not short.complete
    assert short.covered == publication.archive_bytes - lost
    assert short.partial_items == 1
    rest = Bitfield.from_indices([last], first.layout.num_pieces)
    done = count(publication, [reading("a", {first.info_hash: most}), reading("b", {**whole, first.info_hash: rest})])
    assert done.complete
    assert done.copies_min == 1
    assert done.copies_mean == 1.0
    assert done.covered == publication.archive_bytes


def test_copies_are_nodes(publication: Publication) -> None:
    """Three nodes with everything are three copies; the mean is over bytes; nobody is partial."""
    have = {i.metainfo.info_hash: Bitfield.full(i.metainfo.layout.num_pieces) for i in publication.items}
    census = count(publication, [reading(name, have, held=10) for name in "abc"])
    assert (census.copies_min, census.copies_mean, census.partial_items) == (3, 3.0, 0)
    assert (census.held, census.donated) == (30, 300)


def test_nodes_that_said_nothing_hold_nothing(publication: Publication) -> None:
    """Before the first answers the archive is nowhere."""
    census = count(publication, [reading("a", {}), reading("b", {})])
    assert (census.copies_min, census.copies_mean, census.covered, census.complete) == (0, 0.0, 0, False)


@given(st.sets(st.integers(0, 99)))
def test_what_a_node_says_is_read_as_it_is(indices: set[int]) -> None:
    """Inclusive ranges in ``have`` become exactly those pieces."""
    pieces = Bitfield.from_indices(indices, 100)
    status = {
        "state": "steady",
        "cycle": 3,
        "quota_bytes": 50,
        "held_bytes": 40,
        "allocated_bytes": None,
        "in_flight_bytes": 1,
    }
    row = {"info_hash": "ab", "pieces": 100, "have": [[r.first, r.last] for r in pieces.ranges()]}
    said = reading_of("n", status, {"items": [row]})
    assert said.have == {"ab": pieces}
    assert (said.state, said.cycle, said.quota, said.held, said.in_flight) == ("steady", 3, 50, 40, 1)
    assert said.allocated is None


@pytest.mark.parametrize(
    "row", [{}, {"info_hash": "a", "pieces": 3, "have": [[0, 3]]}, {"info_hash": "a", "have": [1]}]
)
def test_an_unknown_form_is_an_error(row: dict[str, object]) -> None:
    """A node that speaks otherwise is not misread."""
    status = {"state": "x", "cycle": 0, "quota_bytes": 1, "held_bytes": 0, "allocated_bytes": 0, "in_flight_bytes": 0}
    with pytest.raises((KeyError, ValueError, IndexError, TypeError)):
        reading_of("n", status, {"items": [row]})


def seen(*nodes: tuple[int, int, int]) -> Census:
    """Return a census of nodes given as (cycle, held, in flight)."""
    return Census(
        readings=tuple(
            reading(str(number), {}, cycle=cycle, held=held, in_flight=flying)
            for number, (cycle, held, flying) in enumerate(nodes)
        ),
        archive=Bytes(10),
        covered=Bytes(10),
        copies_min=1,
        copies_mean=1.0,
        partial_items=1,
    )


def test_calm_needs_quiet_cycles_of_every_node() -> None:
    """Calm is two more cycles of each node with nothing new and nothing in flight; any news starts over."""
    calm = Calm(cycles=2)
    assert not calm.reached(seen((5, 1, 0), (9, 1, 0)))
    assert not calm.reached(seen((7, 1, 0), (10, 1, 0)))
    assert calm.reached(seen((7, 1, 0), (11, 1, 0)))
    assert not calm.reached(seen((8, 2, 0), (12, 1, 0)))
    assert not calm.reached(seen((20, 2, 1), (20, 1, 0)))
    assert not calm.reached(seen((21, 2, 0), (21, 1, 0)))
    assert calm.reached(seen((22, 2, 0), (22, 1, 0)))
