"""Sizes, rates and times are read exactly or refused with the forms that are allowed."""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.config.units import LARGEST, LONGEST_S, duration, rate, size

SIZES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "PiB": 2**50,
}
BITS = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9, "Tbit/s": 10**12, "Pbit/s": 10**15}
TIMES = {"s": 1, "min": 60, "h": 3600, "d": 86400}

numbers = st.decimals(0, 500, places=3, allow_nan=False)
spaces = st.sampled_from(["", " ", "  "])


@given(st.integers(0, LARGEST))
def test_a_whole_number_is_bytes(number: int) -> None:
    """Bare, as text, and with its unit spelled out: the same bytes, bytes per second too."""
    assert size(number) == size(str(number)) == size(f"{number} B") == number
    if number:
        assert rate(number) == rate(str(number)) == rate(f"{number} B/s") == number


@given(numbers, st.sampled_from(sorted(SIZES)), spaces)
def test_sizes_are_exact(number: object, unit: str, space: str) -> None:
    """GB is 10^9 and GiB 2^30; a fraction is multiplied exactly, then rounded down; capitals do not matter."""
    expected = int(Fraction(str(number)) * SIZES[unit])
    assert size(f"{space}{number}{space}{unit}{space}") == size(f"{number}{unit}".upper()) == expected


@given(numbers, st.sampled_from(sorted(SIZES)))
def test_byte_rates_are_sizes_per_second(number: object, unit: str) -> None:
    """2 MB/s is 2 MB in a second; what rounds to nothing is refused, because 0 would mean no limit elsewhere."""
    if size(f"{number} {unit}"):
        assert rate(f"{number} {unit}/s") == size(f"{number} {unit}")
    else:
        with pytest.raises(ValueError, match="would stop all traffic"):
            rate(f"{number} {unit}/s")


@given(st.integers(8, 500), st.sampled_from(sorted(BITS)))
def test_bit_rates_are_an_eighth(number: int, unit: str) -> None:
    """20 Mbit/s are 2,500,000 bytes per second."""
    assert rate(f"{number} {unit}") == number * BITS[unit] // 8


@given(st.integers(1, 366), st.sampled_from(sorted(TIMES)))
def test_times(number: int, unit: str) -> None:
    """A number of seconds, minutes, hours or days; a bare number is seconds."""
    seconds = number * TIMES[unit]
    assert duration(f"{number} {unit}") == duration(seconds) == duration(str(seconds)) == timedelta(seconds=seconds)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=300)))
def test_times_keep_their_microseconds(time: timedelta) -> None:
    """A parsed time parses to itself, and so does its spelling in seconds."""
    assert duration(time) == time
    seconds, micros = divmod(time // timedelta(microseconds=1), 10**6)
    assert duration(f"{seconds}.{micros:06} s") == time


def test_known_values() -> None:
    """The examples of the documentation."""
    assert size("500 GB") == 500_000_000_000
    assert size("1.5 TB") == 1_500_000_000_000
    assert size("500 GiB") == 536_870_912_000
    assert size("0.3 GB") == 300_000_000
    assert rate("20 Mbit/s") == 2_500_000
    assert rate("2 MiB/s") == 2_097_152
    assert duration("90 s") == timedelta(seconds=90)
    assert duration("0.1 s") == timedelta(milliseconds=100)
    assert duration("1.5 h") == timedelta(minutes=90)


REFUSED = [
    "",
    " ",
    "GB",
    "-1",
    "-1 GB",
    "1,5 GB",
    "1e9",
    "5 XB",
    "5 GB/s/s",
    "\u0665 GB",
    "0x10",
    "nan",
    "inf",
    "1 2",
    "1.5",
]


@pytest.mark.parametrize("value", [*REFUSED, "5 GB/s", "5 min", "9" * 30, None, True, 1.5, -1, b"5", ["5 GB"]])
def test_what_is_no_size_is_refused(value: object) -> None:
    """No guess: the message shows what was said and names the forms."""
    with pytest.raises(ValueError, match=r'is not understood, use "500 GB", "1\.5 TB"'):
        size(value)


@pytest.mark.parametrize("value", [*REFUSED, "5 GB", "5 Mbit", "5 Mibit/s", "5 mbps"])
def test_what_is_no_rate_is_refused(value: object) -> None:
    """A size is no rate: the second has to be named."""
    with pytest.raises(ValueError, match='is not understood, use "20 Mbit/s"'):
        rate(value)


@pytest.mark.parametrize("value", [*REFUSED, "5 GB", "5 m", "5 minutes", "00:15"])
def test_what_is_no_time_is_refused(value: object) -> None:
    """5 m could be minutes, months or metres."""
    with pytest.raises(ValueError, match='is not understood, use "90 s", "15 min"'):
        duration(value)


@pytest.mark.parametrize("value", [0, "0", "0 s", "0.09 s"])
def test_times_that_are_too_short_are_refused(value: object) -> None:
    """A pause of nothing would be a busy loop."""
    with pytest.raises(ValueError, match="is too short"):
        duration(value)


def test_what_is_too_large_is_refused() -> None:
    """The largest that can be meant passes, one more does not."""
    assert size(LARGEST) == rate(LARGEST) == LARGEST
    assert duration(LONGEST_S) == timedelta(days=366)
    for parse, value in ((size, LARGEST + 1), (rate, LARGEST + 1), (size, "1025 PiB"), (duration, LONGEST_S + 1)):
        with pytest.raises(ValueError, match="larger than anything that can be meant"):
            parse(value)


def test_a_wrong_value_is_shown_in_part() -> None:
    """A message stays one readable line however long the value is."""
    with pytest.raises(ValueError, match="is not understood") as caught:
        size("x" * 5_000)
    assert len(str(caught.value)) < 200
