"""Trackers as a whole: several at once, hostile ones among them; the clock is the test's."""

import asyncio
import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes
from smartnode.domain.swarm import Address
from smartnode.swarm import udp_packets
from smartnode.swarm.tracker_line import TrackerManners
from smartnode.swarm.trackers import TRACKERS_MAX, Trackers

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HASH = InfoHash("ab" * 20)
OTHER = InfoHash("cd" * 20)
QUICK = TrackerManners(allow_private=True, waits_s=(1.0,), lookup_s=15, request_s=10)
SIZE = Bytes(1000)


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


def counts(complete: int, *ports: int) -> Any:
    """A UDP tracker that counts *complete* everywhere and names peers at *ports*."""

    def answer(data: bytes) -> list[bytes]:
        action, transaction = struct.unpack_from(">II", data, 8)
        match action:
            case udp_packets.CONNECT:
                return [struct.pack(">IIQ", 0, transaction, 77)]
            case udp_packets.ANNOUNCE:
                peers = b"".join(bytes((192, 0, 2, 1)) + port.to_bytes(2, "big") for port in ports)
                return [struct.pack(">IIIII", 1, transaction, 1800, 0, 1) + peers]
            case _:
                entries = struct.pack(">iii", complete, 4, 2) * ((len(data) - 16) // 20)
                return [struct.pack(">II", 2, transaction) + entries]

    return answer


def peer(port: int) -> Address:
    """One of those peers."""
    return Address(host="192.0.2.1", port=port)


async def test_several_trackers_are_joined_by_the_lower_median(hostile: Any) -> None:
    """Liars and silent ones do not decide; each torrent is joined over the trackers that were asked about it."""
    urls = [(await hostile.udp(counts(n)))[0] for n in (3, -65_000, 1_000_000_000, 9_000_000, 4)]
    urls.append((await hostile.udp(lambda _: []))[0])
    urls.append((await hostile.udp(lambda _: [b"garbage, and a good deal of it"]))[0])
    said = await Trackers(QUICK).scrape({url: [HASH] for url in urls} | {urls[0]: [HASH, OTHER]}, NOW)
    assert (said[HASH].complete, said[HASH].incomplete, said[HASH].downloaded) == (4, 2, 4)
    assert (said[OTHER].complete, said[OTHER].at) == (3, NOW)


async def test_a_torrent_that_no_tracker_lists_is_absent(hostile: Any) -> None:
    """No answer and three zeros alike are unknown."""
    zero, _ = await hostile.udp(lambda data: [p[:8] + bytes(len(p) - 8) for p in counts(1)(data)])
    silent, _ = await hostile.udp(lambda _: [])
    assert await Trackers(QUICK).scrape({zero: [HASH], silent: [HASH], "http://[": [HASH]}, NOW) == {}


async def test_an_address_that_cannot_be_is_no_harm() -> None:
    """Catalogues name trackers; whatever they write, a look-up and a scrape are unknown and nothing else."""
    asker = Trackers(QUICK)
    for url in ("http://xn--/announce", "http://[::1/announce", "udp://t.invalid/x", "udp://t.invalid:70000/", "x", ""):
        assert await asker.peers(HASH, [url], size=SIZE, now=NOW) is None
        assert await asker.scrape({url: [HASH]}, NOW) == {}


async def test_the_deadline_keeps_what_was_learned(hostile: Any) -> None:
    """A tracker that never answers costs the deadline, not the figures of the others."""
    good, _ = await hostile.udp(counts(3))
    silent, _ = await hostile.udp(lambda _: [])
    asker = Trackers(TrackerManners(allow_private=True, deadline_s=3))
    said = await asker.scrape({silent: [HASH], good: [HASH]}, NOW)
    assert said[HASH].complete == 3
    assert asker.answered(good)
    assert not asker.answered(silent)
    assert "no answer within the deadline" in asker.degraded(NOW)[0]


async def test_peers_of_three_trackers_are_named_in_turn(hostile: Any) -> None:
    """At most three are asked, none of them crowds out the others, privileged ports and doubles are left out."""
    made = [await hostile.udp(counts(1, *ports)) for ports in ((2001, 2002, 80, 1), (2002, 2003), (2004,), (2005,))]
    named = await Trackers(QUICK).peers(HASH, [url for url, _ in made], size=SIZE, now=NOW)
    assert named == (peer(2001), peer(2002), peer(2004), peer(2003))
    assert made[3][1].heard == []


async def test_a_tracker_that_failed_gives_its_place_to_the_next(hostile: Any) -> None:
    """While one is left alone, a fourth is asked; after its backoff it is tried again."""
    clock = Clock()
    silent, heard = await hostile.udp(lambda _: [])
    good, _ = await hostile.udp(counts(1, 2001))
    asker = Trackers(QUICK, clock=clock)
    assert await asker.peers(HASH, [silent], size=SIZE, now=NOW) is None
    assert len(heard.heard) == 1
    assert await asker.peers(HASH, [silent, good], size=SIZE, now=NOW) == (peer(2001),)
    assert len(heard.heard) == 1
    clock.at += 60
    await asker.peers(HASH, [silent], size=SIZE, now=NOW)
    assert len(heard.heard) == 2


async def test_an_outage_is_one_failure_and_the_return_is_no_storm(hostile: Any) -> None:
    """Forty look-ups into a dead tracker count once; when it is back one probe passes and then all do."""
    clock = Clock()
    alive = False
    url, heard = await hostile.udp(lambda data: counts(1, 2001)(data) if alive else [])
    asker = Trackers(TrackerManners(allow_private=True, waits_s=(1.0,), lookups_per_s=1000), clock=clock)

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(asker.peers(HASH, [url], size=SIZE, now=NOW) for _ in range(40)))

    assert await crowd() == [None] * 40
    assert asker.health()[0].failures == 1
    assert len(heard.heard) == 40
    assert await crowd() == [None] * 40
    assert len(heard.heard) == 40
    alive = True
    clock.at += 60
    assert sorted(map(str, await crowd())) == sorted(["None"] * 39 + [str((peer(2001),))])
    assert len(heard.heard) == 43
    assert await crowd() == [(peer(2001),)] * 40
    assert asker.degraded(NOW) == ()


async def test_a_refusal_is_not_an_outage(hostile: Any) -> None:
    """A tracker that does not serve one torrent is asked about the next at once."""

    def picky(data: bytes) -> list[bytes]:
        refuses = data[8:12] == b"\0\0\0\1" and data[16:36].hex() == HASH
        return [b"\0\0\0\3" + data[12:16] + b"unregistered"] if refuses else counts(1, 2001)(data)

    url, _ = await hostile.udp(picky)
    asker = Trackers(QUICK)
    assert await asker.peers(HASH, [url], size=SIZE, now=NOW) is None
    assert asker.answered(url)
    assert await asker.peers(OTHER, [url], size=SIZE, now=NOW) == (peer(2001),)


async def test_a_tracker_that_does_not_count_is_not_asked_to_for_an_hour(hostile: Any) -> None:
    """It stays in use for look-ups and in good standing."""
    clock = Clock()
    body = b"d5:peers6:" + bytes((192, 0, 2, 1)) + (2001).to_bytes(2, "big") + b"e"
    requests: list[bytes] = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        if request.startswith(b"GET /scrape"):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    url = await hostile.http(answer)
    asker = Trackers(QUICK, clock=clock)
    wanted = {url: [InfoHash(f"{n:040x}") for n in range(100)]}
    assert await asker.scrape(wanted, NOW) == {}
    after = len(requests)
    assert after <= 10
    assert await asker.scrape(wanted, NOW) == {}
    assert len(requests) == after
    assert await asker.peers(HASH, [url], size=SIZE, now=NOW) == (peer(2001),)
    clock.at += 3600
    await asker.scrape(wanted, NOW)
    assert len(requests) > after + 2


async def test_a_redirect_to_nowhere_is_the_failure_of_one_tracker(hostile: Any) -> None:
    """Httpx raises past its own errors at such a Location: the others of the same round are asked all the same."""
    nowhere = await hostile.http(
        lambda _: b"HTTP/1.1 302 Found\r\nLocation: :http://[\r\nContent-Length: 0\r\n\r\n", "127.0.41.2"
    )
    good, _ = await hostile.udp(counts(1))
    asker = Trackers(QUICK)
    assert set(await asker.scrape({nowhere: [HASH], good: [HASH]}, NOW)) == {HASH}
    assert await asker.peers(OTHER, [nowhere], size=SIZE, now=NOW) is None
    said = {each.url: each for each in asker.health()}
    assert (said[nowhere].failures, said[good].failures) == (1, 0)
    assert "Invalid IPv6 URL" in said[nowhere].reason


async def test_those_asked_longest_ago_are_asked_first(hostile: Any) -> None:
    """With one place in all, a tracker that answers slowly and takes all the time keeps nobody out for two rounds."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        body = b"d5:filesdee"
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    busy = await hostile.http(slow)
    good, _ = await hostile.udp(counts(1))
    asker = Trackers(replace(QUICK, at_once=1, deadline_s=0.5))
    wanted = {busy: [InfoHash(f"{n:040x}") for n in range(1000)], good: [HASH]}
    assert await asker.scrape(wanted, NOW) == {}
    assert set(await asker.scrape(wanted, NOW)) == {HASH}


async def test_look_ups_wait_for_their_turn_and_give_up_when_it_is_far(hostile: Any) -> None:
    """More than the bucket and five seconds hold are not asked: unknown, and no failure of the tracker."""
    url, heard = await hostile.udp(counts(1, 2001))
    asker = Trackers(TrackerManners(allow_private=True, lookups_per_s=2), clock=Clock())
    looks = await asyncio.gather(*(asker.peers(HASH, [url], size=SIZE, now=NOW) for _ in range(40)))
    assert looks.count((peer(2001),)) == 12
    assert looks.count(None) == 28
    assert len(heard.heard) == 36
    assert asker.answered(url)


async def test_health_hides_passkeys_and_counts_torrents(hostile: Any) -> None:
    """What may be shown: place, torrents, when it answered."""
    url, _ = await hostile.udp(counts(1))
    secret = url.replace("/announce", "/0123456789abcdef/announce?passkey=x")
    asker = Trackers(QUICK)
    await asker.scrape({secret: [HASH, OTHER]}, NOW)
    (health,) = asker.health()
    assert (health.url, health.torrents, health.answered_at, health.failures) == (url, 2, NOW, 0)


async def test_a_catalogue_of_trackers_does_not_fill_the_memory() -> None:
    """The longest unused standing makes room, and what nobody names any more is forgotten with the next round."""
    clock = Clock()
    asker = Trackers(TrackerManners(allow_private=True, waits_s=()), clock=clock)
    for number in range(TRACKERS_MAX + 5):
        clock.at += 1
        await asker.peers(HASH, [f"udp://127.0.0.1:{2000 + number}/announce"], size=SIZE, now=NOW)
    assert len(asker.health()) == TRACKERS_MAX
    clock.at += 1
    await asker.scrape({}, NOW)
    clock.at += 1
    await asker.peers(HASH, ["udp://127.0.0.1:2000/announce"], size=SIZE, now=NOW)
    clock.at += 1
    await asker.scrape({}, NOW)
    assert [each.url for each in asker.health()] == ["udp://127.0.0.1:2000/announce"]
    clock.at += 1
    await asker.scrape({}, NOW)
    assert asker.health() == ()
    assert asker.degraded(NOW) == ()
