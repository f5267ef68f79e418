"""UDP trackers that lie, stall, babble or are not there."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import udp_packets
from smartnode.swarm.answers import Counts, TrackerRefusal
from smartnode.swarm.tracker_line import Allowance, TrackerManners
from smartnode.swarm.tracker_udp import udp_line

HASHES = [InfoHash(f"{n:040x}") for n in range(1, 71)]
QUICK = TrackerManners(allow_private=True, waits_s=(0.5, 0.6, 0.7))
PEER = bytes((192, 0, 2, 1)) + (6881).to_bytes(2, "big")


def honest(data: bytes) -> list[bytes]:
    """Answer as a tracker does: connection id 77, every count 5, one peer."""
    action, transaction = struct.unpack_from(">II", data, 8)
    match action:
        case udp_packets.CONNECT:
            return [struct.pack(">IIQ", 0, transaction, 77)]
        case udp_packets.ANNOUNCE:
            return [struct.pack(">IIIII", 1, transaction, 1800, 0, 1) + PEER]
        case _:
            return [struct.pack(">II", 2, transaction) + struct.pack(">iii", 5, 5, 5) * ((len(data) - 16) // 20)]


def actions(heard: list[bytes]) -> list[int]:
    """What was asked, in order."""
    return [int(struct.unpack_from(">I", data, 8)[0]) for data in heard]


async def scrape(url: str, manners: TrackerManners = QUICK, *, allowance: int = 99) -> Any:
    """Ask once about 70 torrents."""
    left = Allowance(allowance)
    async with udp_line(url, manners, left) as line:
        return await line.scrape(HASHES)


@pytest.mark.parametrize("host", ["127.0.40.1", "::1"])
async def test_an_honest_tracker_is_asked_with_one_connection(hostile: Any, host: str) -> None:
    """Several requests of one conversation share a socket and a connection id, over IPv4 and IPv6."""
    url, tracker = await hostile.udp(honest, host)
    async with udp_line(url, QUICK, Allowance(9)) as line:
        answers = await asyncio.gather(line.scrape(HASHES), line.scrape(HASHES[:3]))
    assert answers[0] == dict.fromkeys(HASHES, Counts(complete=5, incomplete=5, downloaded=5))
    assert len(answers[1]) == 3
    assert actions(tracker.heard) == [0, 2, 2]
    assert {data[:8] for data in tracker.heard[1:]} == {(77).to_bytes(8, "big")}


async def test_a_look_up_is_two_announces_under_an_id_and_port_of_nobody(hostile: Any) -> None:
    """Started and stopped carry one random id, port 1 and what is left; each look-up has an id of its own."""
    url, tracker = await hostile.udp(honest)
    async with udp_line(url, QUICK, Allowance(99)) as line:
        for _ in range(2):
            answer = await line.announce(HASHES[0], left=1234)
            assert answer.peers == (Address(host="192.0.2.1", port=6881),)
    announces = [struct.unpack(">QII20s20sQQQIIIiH", data) for data in tracker.heard[1:]]
    assert [fields[8] for fields in announces] == [2, 3, 2, 3]
    assert {(fields[6], fields[12], fields[11]) for fields in announces} == {(1234, 1, 50)}
    assert announces[0][4] == announces[1][4] != announces[2][4] == announces[3][4]


async def test_a_lost_answer_is_asked_for_again_and_a_dead_tracker_three_times(hostile: Any) -> None:
    """The same transaction is sent again; after the third silence it is over."""
    lost = iter([[], None])
    url, tracker = await hostile.udp(lambda data: honest(data) if next(lost, None) is None else [])
    assert len(await scrape(url)) == 70
    assert actions(tracker.heard) == [0, 0, 2]
    assert tracker.heard[0] == tracker.heard[1]
    url, silent = await hostile.udp(lambda _: [])
    with pytest.raises(SwarmError, match="no answer"):
        await scrape(url)
    assert actions(silent.heard) == [0, 0, 0]


async def test_answers_to_nobodys_question_are_no_answers(hostile: Any) -> None:
    """Another transaction id, cut datagrams, garbage and a flood are ignored; the true answer still counts."""

    def noisy(data: bytes) -> list[bytes]:
        (true,) = honest(data)
        wrong = true[:4] + bytes(b ^ 0xFF for b in true[4:8]) + true[8:]
        return [wrong, b"", b"\xff", true[:7], bytes(60_000), *[wrong] * 50, true]

    url, _ = await hostile.udp(noisy)
    assert len(await scrape(url)) == 70
    url, _ = await hostile.udp(lambda data: noisy(data)[:-1])
    with pytest.raises(SwarmError, match="no answer"):
        await scrape(url)


async def test_an_answer_from_elsewhere_is_no_answer(hostile: Any) -> None:
    """Somebody who guesses the transaction but speaks from another address or port is not heard."""
    spoofer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    spoofer.bind(("127.0.40.2", 0))
    url, tracker = await hostile.udp(lambda _: [])

    def spoofed(data: bytes, addr: tuple[str, int]) -> None:
        tracker.heard.append(data)
        for packet in honest(data):
            spoofer.sendto(packet, addr)

    tracker.datagram_received = spoofed
    with pytest.raises(SwarmError, match="no answer"):
        await scrape(url)
    assert len(tracker.heard) == 3
    spoofer.close()


@pytest.mark.parametrize(
    "answer",
    [
        lambda data: [data[12:16].join((b"\0\0\0\2", b""))] if data[8:12] == b"\0\0\0\2" else honest(data),
        lambda data: [b"\0\0\0\1" + data[12:16] + bytes(40)] if data[8:12] == b"\0\0\0\2" else honest(data),
        lambda data: [b"\0\0\0\0" + data[12:16] + b"\1\2"],
    ],
)
async def test_an_answer_that_is_not_what_was_asked_teaches_nothing(hostile: Any, answer: Any) -> None:
    """An empty scrape knows no torrent; another action and a cut connection id are SwarmErrors."""
    url, _ = await hostile.udp(answer)
    try:
        assert await scrape(url) == {}
    except TrackerRefusal:
        pytest.fail("this is no refusal")
    except SwarmError:
        pass


async def test_an_error_is_a_refusal(hostile: Any) -> None:
    """The tracker answered; it is not taken for silent."""
    url, _ = await hostile.udp(lambda data: [b"\0\0\0\3" + data[12:16] + b"go away"])
    with pytest.raises(TrackerRefusal, match="go away"):
        await scrape(url)


async def test_a_closed_port_is_known_at_once(hostile: Any) -> None:
    """The kernel's word that nobody listens ends the question without further tries."""
    url, _ = await hostile.udp(honest)
    hostile.end()
    await asyncio.sleep(0)
    with pytest.raises(SwarmError, match="refused"):
        await scrape(url, TrackerManners(allow_private=True))


async def test_nothing_is_sent_beyond_the_allowance(hostile: Any) -> None:
    """Tries count too."""
    url, tracker = await hostile.udp(lambda _: [])
    with pytest.raises(SwarmError):
        await scrape(url, allowance=2)
    assert len(tracker.heard) == 2


async def test_a_private_address_is_never_asked_unless_allowed(hostile: Any) -> None:
    """What the name leads to is checked, not only what it looks like."""
    url, tracker = await hostile.udp(honest)
    for named in (url, url.replace("127.0.40.1", "localhost")):
        with pytest.raises(SwarmError, match="not public"):
            await scrape(named, TrackerManners(allow_private=False))
    assert tracker.heard == []


async def test_a_cancelled_look_up_still_takes_its_listing_back(hostile: Any) -> None:
    """One datagram says stopped when the node ends before the answer came."""
    heard = asyncio.Event()

    def slow(data: bytes) -> list[bytes]:
        if data[8:12] == b"\0\0\0\0":
            return honest(data)
        heard.set()
        return []

    url, tracker = await hostile.udp(slow)

    async def look_up() -> None:
        async with udp_line(url, TrackerManners(allow_private=True), Allowance(9)) as line:
            await line.announce(HASHES[0], left=1)

    task = asyncio.create_task(look_up())
    await asyncio.wait_for(heard.wait(), 10)
    heard.clear()
    task.cancel()
    await asyncio.wait_for(heard.wait(), 10)
    assert [struct.unpack_from(">I", data, 80)[0] for data in tracker.heard[1:]] == [2, 3]
    with pytest.raises(asyncio.CancelledError):
        await task
