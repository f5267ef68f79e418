"""HTTP trackers that lie, stall, redirect, babble or are not there."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm.answers import Counts, TrackerRefusal
from smartnode.swarm.tracker_http import REDIRECTS_MAX, http_line, redirected
from smartnode.swarm.tracker_line import Allowance, TrackerManners

HASH = InfoHash("ab" * 20)
HERE = TrackerManners(allow_private=True)
COUNTS = bencode.encode({b"files": {bytes.fromhex(HASH): {b"complete": 2, b"incomplete": 1, b"downloaded": 9}}})
PEERS = bencode.encode({b"interval": 60, b"peers": bytes((192, 0, 2, 1)) + (6881).to_bytes(2, "big")})


def page(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def scrape(url: str, manners: TrackerManners = HERE, *, allowance: int = 9) -> Any:
    """Ask about one torrent."""
    async with http_line(url, manners, Allowance(allowance)) as line:
        return await line.scrape([HASH])


async def announce(url: str, manners: TrackerManners = HERE) -> Any:
    """Look for peers of one torrent."""
    async with http_line(url, manners, Allowance(9)) as line:
        return await line.announce(HASH, left=9)


async def test_an_honest_tracker_is_asked_by_the_conventions(hostile: Any) -> None:
    """The scrape address, the agent, no compression; an announce is followed by stopped under the same id."""
    heard: list[bytes] = []

    def answer(request: bytes) -> bytes:
        heard.append(request)
        return page(COUNTS if request.startswith(b"GET /scrape") else PEERS)

    url = await hostile.http(answer)
    assert await scrape(url) == {HASH: Counts(complete=2, incomplete=1, downloaded=9)}
    assert (await announce(url)).peers == (Address(host="192.0.2.1", port=6881),)
    assert heard[0].split(b" ")[1] == b"/scrape?info_hash=" + b"%AB" * 20
    assert b"user-agent: smartnode\r\n" in heard[0].lower()
    assert b"accept-encoding: identity\r\n" in heard[0].lower()
    started, stopped = heard[1], heard[2]
    assert stopped == started.replace(b"event=started", b"event=stopped")


async def test_a_tracker_at_an_ipv6_address_is_asked_by_its_name(hostile: Any) -> None:
    """The literal address stays in Host, in brackets."""
    heard: list[bytes] = []

    def answer(request: bytes) -> bytes:
        heard.append(request)
        return page(COUNTS)

    url = await hostile.http(answer, "::1")
    assert HASH in await scrape(url)
    assert f"host: {url.split('/')[2]}\r\n".encode() in heard[0].lower()


@pytest.mark.parametrize(
    "body",
    [b"", b"de", b"garbage", b"i5e", b"d5:files", b"d5:filesi3ee", b"<html>hello</html>", b"d5:filesd" + b"1:a" * 999],
)
async def test_garbage_is_a_swarm_error(hostile: Any, body: bytes) -> None:
    """Whatever is no answer teaches nothing and breaks nothing."""
    url = await hostile.http(lambda _: page(body))
    for ask in (scrape, announce):
        with pytest.raises(SwarmError):
            await ask(url)


async def test_refusals_are_told_from_failures(hostile: Any) -> None:
    """4xx is a no; 429 and 5xx are a tracker in trouble, which is left alone for a while."""
    for status, refusal in (
        ("404 No", True),
        ("414 Long", True),
        ("429 Slow", False),
        ("500 Oh", False),
        ("204 N", False),
    ):
        url = await hostile.http(lambda _, status=status: page(b"", status))
        with pytest.raises(SwarmError) as caught:
            await scrape(url)
        assert isinstance(caught.value, TrackerRefusal) == refusal, status
    with pytest.raises(TrackerRefusal, match="BEP 48"):
        await scrape(url.replace("announce", "a"))


async def test_an_answer_without_end_is_cut(hostile: Any) -> None:
    """No more is read than an answer may have, whatever was promised."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 1 << 30:
            writer.write(b"1" * 65536)
            await writer.drain()
            sent += 65536

    url = await hostile.http(endless)
    with pytest.raises(SwarmError, match="over 65536 bytes"):
        await scrape(url)
    assert sent < 1 << 26


async def test_a_slow_answer_costs_its_deadline_only(hostile: Any) -> None:
    """One byte at a time is no way to keep a node busy."""
    over = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nd")
        await asyncio.wait_for(over.wait(), 30)

    url = await hostile.http(slow)
    for ask in (scrape, announce):
        with pytest.raises(SwarmError, match="no answer"):
            await ask(url, TrackerManners(allow_private=True, request_s=0.3))
    over.set()


async def test_redirects_are_bounded_and_their_cost_is_counted(hostile: Any) -> None:
    """A circle ends after three; each hop is a request of the allowance."""
    hops = 0

    def circle(request: bytes) -> bytes:
        nonlocal hops
        hops += 1
        return page(b"", "302 Found", f"Location: {request.split(b' ')[1].decode()}")

    url = await hostile.http(circle)
    with pytest.raises(SwarmError, match="redirects more than"):
        await scrape(url)
    assert hops == REDIRECTS_MAX + 1
    with pytest.raises(SwarmError, match="no request is left"):
        await scrape(url, allowance=2)
    assert hops == REDIRECTS_MAX + 3


async def test_a_redirect_is_followed_to_where_the_answer_is(hostile: Any) -> None:
    """A tracker that moved still answers."""
    there = await hostile.http(lambda _: page(COUNTS))
    here = await hostile.http(
        lambda request: page(
            b"", "301 Moved", f"Location: {there.removesuffix('/announce')}{request.split(b' ')[1].decode()}"
        )
    )
    assert HASH in await scrape(here)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "udp://192.0.2.1:9/announce", "http://user:pw@127.0.41.1/", "ftp://192.0.2.1/"]
)
async def test_a_redirect_elsewhere_is_refused(hostile: Any, target: str) -> None:
    """Only http and https by our own rules."""
    url = await hostile.http(lambda _: page(b"", "302 Found", f"Location: {target}"))
    with pytest.raises(SwarmError, match="redirects to an address that"):
        await scrape(url)


async def test_nobody_there_and_a_private_tracker_are_swarm_errors(hostile: Any) -> None:
    """A closed port is not a refusal; a private address is never asked unless allowed."""
    url = await hostile.http(lambda _: page(COUNTS))
    with pytest.raises(SwarmError, match="not public"):
        await scrape(url, TrackerManners(allow_private=False))
    hostile.end()
    with pytest.raises(SwarmError, match="cannot be asked") as caught:
        await scrape(url)
    assert not isinstance(caught.value, TrackerRefusal)


PARTS = [
    "http://",
    "https://",
    "[",
    "]",
    ":",
    "@",
    "\\",
    "%",
    "é",
    "\u202e",
    "/",
    "?",
    "#",
    "a",
    "0",
    "..",
    " ",
    "xn--",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=8).map("".join))
def test_any_redirect_is_an_address_or_a_swarm_error(location: str) -> None:
    """Nothing that a Location header says raises anything but SwarmError."""
    try:
        target = redirected(httpx.URL("http://t.example/announce"), location, allow_private=False)
    except SwarmError:
        return
    assert target.scheme in {"http", "https"}
    assert target.raw_host
