"""Addresses from strangers: what may be asked, what may not, and how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.web.address import (
    hidden_character,
    is_public,
    magnet_hashes,
    shown,
    tracker_address,
    web_address,
)

V1 = "0d5255210ec3c9029b53d9cee87fb4afcfec57e1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://data.source.coop/a/b.pmtiles", "https://data.source.coop/a/b.pmtiles"),
        ("HTTP://Example.ORG:8080/a?b=c%20d", "http://example.org:8080/a?b=c%20d"),
        ("https://example.org/é t", "https://example.org/%C3%A9%20t"),
        ("https://québec.example/x", "https://xn--qubec-csa.example/x"),
        ("https://example.org/a#part", "https://example.org/a"),
        ("https://[2606:4700::1111]:444/x", "https://[2606:4700::1111]:444/x"),
        ("http://93.184.216.34/x", "http://93.184.216.34/x"),
        ("http://face.example/x", "http://face.example/x"),
        ("http://0xzz/x", "http://0xzz/x"),
    ],
)
def test_good_addresses_become_plain_ascii(text: str, expected: str) -> None:
    """A public http(s) address comes back in plain ASCII, ready for libtorrent."""
    assert web_address(text, allow_private=False) == expected


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../x",
        "",
        "javascript:1",
        "s3://bucket/key",
        "http:///x",
        "http://",
        "http://host:99999/x",
        "http://host:0/x",
        "http://[::1/x",
        "http://user@host.example/x",
        "http://user:pw@host.example/",
        "http://good.example\\@evil.example/",
        "http://host.example/\u202egnp.exe",
        "http://host.example/\x00",
        "http://host.example/\n",
        "http://host.example/\ud800",
        "http://ho st.example/",
        "http://a..example/",
        "http://" + "a" * 70 + ".example/",
        "https://example.org/" + "a" * 2048,
        " https://example.org/",
    ],
)
def test_evil_addresses_are_refused_even_on_a_private_network(text: str) -> None:
    """What is no plain web address is refused with a printable one-line reason."""
    with pytest.raises(ValueError, match=r"^(is|holds|names|carries|points) ") as caught:
        web_address(text, allow_private=True)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[::7f00:1]",
    ],
)
def test_private_hosts_need_allow_private(host: str) -> None:
    """However it is spelt, a literal address inside the volunteer's network is refused unless private ones are
    allowed.
    """
    with pytest.raises(ValueError, match="private network"):
        web_address(f"http://{host}/x", allow_private=False)
    with pytest.raises(ValueError, match="private network"):
        tracker_address(f"udp://{host}:6969/announce", allow_private=False)
    assert web_address(f"http://{host}/x", allow_private=True).startswith("http://")


def test_public_addresses_stay_public_through_wrappings() -> None:
    """An IPv6 wrapping of a public IPv4 address is as public as what it wraps."""
    assert is_public("64:ff9b::5db8:d822")
    assert is_public("2606:4700:4700::1111")
    assert not is_public("64:ff9b::a00:1")
    assert not is_public("fe80::1%eth0")


@pytest.mark.parametrize(
    "text", ["ftp://t.example/announce", "udp://t.example/é", "http://t.example/a b", "announce", "udp:///announce"]
)
def test_trackers_are_plain_urls(text: str) -> None:
    """A tracker is an http, https or udp URL in plain ASCII."""
    assert tracker_address("udp://t.example:80/announce", allow_private=False) == "udp://t.example:80/announce"
    with pytest.raises(ValueError, match=r"^(is|names) "):
        tracker_address(text, allow_private=False)


def test_magnets_name_hashes_in_every_spelling() -> None:
    """BEP 9 and BEP 52: hex, base32 and multihash spellings are the same hash."""
    assert magnet_hashes(f"magnet:?xt=urn:btih:{V1.upper()}&dn=x") == ({V1}, frozenset())
    base32 = "BVJFKIIOYPEQFG2T3HHOQ75UV7H6YV7B"
    assert magnet_hashes(f"magnet:?xt.1=urn:btih:{base32}") == ({V1}, frozenset())
    assert magnet_hashes(f"magnet:?xt=urn:btmh:1220{'ab' * 32}") == (frozenset(), {"ab" * 32})
    assert magnet_hashes("magnet:?dn=nothing") == (frozenset(), frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "magnet:?xt=urn:btih:00",
        "magnet:?xt=urn:sha1:" + V1,
        "magnet:?xt=urn:btih:" + "1" * 32,
        "magnet:?" + "a=b&" * 100,
        "magnet:?xt=urn:btih:\u202e",
    ],
)
def test_unreadable_magnets_are_refused(text: str) -> None:
    """A magnet whose hash cannot be read is refused."""
    with pytest.raises(ValueError, match=r".+"):
        magnet_hashes(text)


@given(st.text(max_size=100))
def test_whatever_the_text_the_answer_is_an_address_or_a_reason(text: str) -> None:
    """No text makes the checks fail in any way but a ValueError, and an accepted address is accepted again."""
    for candidate in (text, "http://" + text, "http://host.example/" + text):
        try:
            good = web_address(candidate, allow_private=True)
        except ValueError:
            continue
        else:
            assert good.isascii()
            assert " " not in good
            assert web_address(good, allow_private=True) == good


@given(st.text())
def test_shown_text_is_one_printable_line(text: str) -> None:
    """Reports cannot be used to write to the volunteer's terminal."""
    assert shown(text).isascii()
    assert shown(text).isprintable()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", None),
        ("é 漢字", None),
        ("a\x00", "U+0000"),
        ("\u202e", "U+202E"),
        ("\u2028", "U+2028"),
        ("\x7f", "U+007F"),
    ],
)
def test_hidden_characters_are_named(text: str, found: str | None) -> None:
    """Control, separator, surrogate and direction-changing characters are found; letters of any script are not."""
    assert hidden_character(text) == found


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True),
    path=st.from_regex(r"[A-Za-z0-9/%:@!$&'()*+,;=~._-]{0,20}", fullmatch=True),
    query=st.from_regex(r"(\?[A-Za-z0-9/?%:@!$&'()*+,;=~._-]{0,20})?", fullmatch=True),
    allow_private=st.booleans(),
)
def test_the_short_way_gives_the_long_way_answer(host: str, path: str, query: str, *, allow_private: bool) -> None:
    """Plain addresses are answered without being taken apart; a fragment forces the long way, and is dropped by it."""

    def answer(text: str) -> str | None:
        try:
            return web_address(text, allow_private=allow_private)
        except ValueError:
            return None

    text = f"https://{host}/{path}{query}"
    short, long = answer(text), answer(text + "#")
    assert short == long or (short is not None and short.rstrip("?") == long)


def test_a_host_that_is_no_idna_is_refused() -> None:
    """A label that claims to be encoded and is not would raise far away; a real one passes."""
    for host in ("xn--", "xn--0.example"):
        with pytest.raises(ValueError, match="no possible host"):
            web_address(f"http://{host}/f", allow_private=True)
    assert web_address("http://xn--bcher-kva.example/f", allow_private=False) == "http://xn--bcher-kva.example/f"
