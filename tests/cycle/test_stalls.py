"""A promise that nobody keeps is given up after an hour, not before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smartnode.cycle.stalls import PATIENCE, Stalls
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield, Bytes, Layout

HASH = InfoHash("ab" * 20)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = Holding(
    info_hash=HASH,
    layout=Layout(total_size=Bytes(100), piece_length=Bytes(10)),
    have=Bitfield.from_indices([0], 10),
    wanted=Bitfield.full(10),
)


def test_an_hour_without_a_piece_is_a_stall() -> None:
    """Exactly PATIENCE after the last piece, however often it was asked in between."""
    stalls = Stalls()
    for minutes in range(0, 60, 5):
        assert stalls.stalled({HASH: WAITING}, T0 + timedelta(minutes=minutes)) == []
    assert stalls.stalled({HASH: WAITING}, T0 + PATIENCE) == [HASH]


def test_each_piece_renews_the_patience() -> None:
    """A slow torrent is no stalled one."""
    stalls = Stalls()
    stalls.stalled({HASH: WAITING}, T0)
    grown = replace(WAITING, have=Bitfield.from_indices([0, 1], 10))
    assert stalls.stalled({HASH: grown}, T0 + timedelta(minutes=59)) == []
    assert stalls.stalled({HASH: grown}, T0 + timedelta(minutes=118)) == []
    assert stalls.stalled({HASH: grown}, T0 + timedelta(minutes=119)) == [HASH]


def test_a_torrent_that_misses_nothing_is_forgotten() -> None:
    """A new promise of a torrent that rested gets its whole hour."""
    stalls = Stalls()
    stalls.stalled({HASH: WAITING}, T0)
    assert stalls.stalled({HASH: replace(WAITING, wanted=WAITING.have)}, T0 + timedelta(hours=5)) == []
    assert stalls.stalled({HASH: WAITING}, T0 + timedelta(hours=6)) == []
