"""The HTTP tracker protocol: addresses by the convention, answers read without trust."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm import http_answers
from smartnode.swarm.answers import Counts, TrackerRefusal

HASH = InfoHash("ab" * 20)
RAW = bytes.fromhex(HASH)
VALUES = st.recursive(
    st.integers(-(2**40), 2**40) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [b"files", b"peers", b"peers6", b"interval", b"ip", b"port", b"complete", b"failure reason", RAW]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("announce", "scrape"),
    [
        ("http://t.example/announce", "http://t.example/scrape"),
        ("http://t.example/x/announce", "http://t.example/x/scrape"),
        ("http://t.example/announce.php", "http://t.example/scrape.php"),
        ("http://t.example/a", None),
        ("http://t.example/announce?x2%0644", "http://t.example/scrape?x2%0644"),
        ("http://t.example/announce?x=2/4", "http://t.example/scrape?x=2/4"),
        ("http://t.example/x%064announce", None),
        ("http://t.example", None),
    ],
)
def test_the_scrape_address_follows_the_convention(announce: str, scrape: str | None) -> None:
    """The examples of BEP 48, and None where it cannot be made."""
    assert http_answers.scrape_url(announce) == scrape


def test_requests_keep_the_query_and_drop_the_fragment() -> None:
    """A passkey stays; every info-hash is escaped whole."""
    asked = http_answers.scrape_request("http://t.example/scrape?key=1#x", [HASH, HASH])
    assert asked == "http://t.example/scrape?key=1&" + "&".join(["info_hash=" + "%AB" * 20] * 2)
    announce = http_answers.announce_request(
        "http://t.example/announce", info_hash=HASH, peer_id=b"-SN0001-abcdefghijkl", left=7, event="started", key=255
    )
    assert "&port=1&" in announce
    assert announce.endswith("left=7&compact=1&numwant=50&event=started&key=000000ff")


@given(st.binary(max_size=300) | VALUES.map(bencode.encode))
def test_any_answer_becomes_an_answer_or_a_swarm_error(raw: bytes) -> None:
    """No bytes of a stranger raise anything but SwarmError."""
    try:
        announced = http_answers.parse_announce(raw)
    except SwarmError:
        pass
    else:
        assert announced.interval_s is None or 0 <= announced.interval_s <= 86_400
    try:
        counts = http_answers.parse_scrape(raw, [HASH])
    except SwarmError:
        return
    assert set(counts) <= {HASH}


def test_counts_are_plausible_or_none_and_what_is_not_listed_is_absent() -> None:
    """Missing, negative, huge and textual figures are None; another torrent's figures are nobody's."""
    other = InfoHash("cd" * 20)
    said = {RAW: {b"complete": -65_000, b"incomplete": 10**9}, b"x": {b"complete": 3}}
    counts = http_answers.parse_scrape(bencode.encode({b"files": said}), [HASH, other])
    assert counts == {HASH: Counts(complete=None, incomplete=None, downloaded=None)}
    fine = {RAW: {b"complete": 0, b"incomplete": b"2", b"downloaded": 7}}
    counts = http_answers.parse_scrape(bencode.encode({b"files": fine}), [HASH])
    assert counts == {HASH: Counts(complete=0, incomplete=None, downloaded=7)}


def test_peers_come_compact_or_spelt_out() -> None:
    """BEP 23 and BEP 7 strings and BEP 3 lists give numeric addresses; names are nobody's to resolve."""
    spelt = [
        {b"ip": b"192.0.2.1", b"port": 7},
        {b"ip": b"evil.example", b"port": 7},
        {b"ip": b"2001:db8::1", b"port": 8},
    ]
    listed = http_answers.parse_announce(bencode.encode({b"interval": 60, b"peers": spelt}))
    assert listed.peers == (Address(host="192.0.2.1", port=7), Address(host="2001:db8::1", port=8))
    six = bytes.fromhex("20010db8000000000000000000000001") + (9).to_bytes(2, "big")
    compact = http_answers.parse_announce(bencode.encode({b"peers": b"", b"peers6": six}))
    assert compact.peers == (Address(host="2001:db8::1", port=9),)
    assert compact.interval_s is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"de", b"le", b"d5:peersi4ee", b"d8:intervali-1e5:peers0:e", b"d8:interval1:x5:peers0:e", bytes(70_000)],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    """Empty, negative, mistyped and oversized answers name no peers, which is not the same as nobody."""
    with pytest.raises(SwarmError):
        http_answers.parse_announce(raw)


def test_a_failure_reason_is_a_refusal() -> None:
    """It is told apart from silence, and shown without control characters."""
    with pytest.raises(TrackerRefusal, match="the tracker refuses: no"):
        http_answers.parse_scrape(bencode.encode({b"failure reason": b"n\x07o"}), [HASH])
