"""Announces at a real tracker: paced at the start, at a pause and at a stop; nobody is forgotten."""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bitfield
from smartnode.engine.session import Engine
from tests.engine.node import engine_at
from tests.network.engine_lab import STARTED, STOPPED, Relay, held_before

BEHIND = ("127.0.100.2", 6970)
# libtorrent remembers a UDP tracker's connection id for a minute, by address and for the whole process.
HOSTS = (f"127.0.102.{number}" for number in count(1))
NODE = "127.0.60.1"


@pytest.fixture
def relay(processes: Any) -> Iterator[Relay]:  # noqa: ARG001 -- after the network namespace is there
    """A relay before a tracker on 127.0.100.2."""
    one = Relay(next(HOSTS), 6969, BEHIND)
    yield one
    one.close()


async def until(claim: Callable[[], Any], *, within_s: float) -> None:
    """Wait until a claim holds."""
    async with asyncio.timeout(within_s):
        while not claim():  # noqa: ASYNC110 -- what others see is read, it signals nothing
            await asyncio.sleep(0.1)


def serve(tracker: Any, keys: list[InfoHash]) -> None:
    """Start the tracker behind the relay and wait until it has read what it may serve."""
    one = tracker(keys, host=BEHIND[0], port=BEHIND[1])
    wanted = quote(bytes.fromhex(keys[-1]))
    query = f"info_hash={wanted}&peer_id={'x' * 20}&port=9&uploaded=0&downloaded=0&left=0&event=stopped"
    deadline = time.monotonic() + 20
    while b"failure" in httpx.get(f"{one.http}?{query}", trust_env=False).content:
        assert time.monotonic() < deadline


def health(engine: Engine) -> Any:
    """Return the only tracker's health, None before it was counted."""
    return next(iter(engine.trackers()), None)


@pytest.mark.parametrize("number", [200, pytest.param(2000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_many_torrents_started_at_once_are_all_announced_and_never_in_a_burst(
    number: int, relay: Relay, tracker: Any, tmp_path: Path
) -> None:
    """Each is announced once and none times out; no second sees more than 50 announces; the stop of so many sends
    none at all.
    """
    keys = held_before(tmp_path, [relay.url], number)
    serve(tracker, keys)
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        assert len(engine.holdings()) == number
        await until(lambda: len(relay.heard_of()) == number, within_s=600)
        await until(lambda: health(engine) and health(engine).answered_at, within_s=10)
        assert set(relay.heard_of().values()) == {1}
        assert health(engine).torrents == number
        assert (health(engine).failures, health(engine).reason, health(engine).silent) == (0, "", 0)
        assert health(engine).url == relay.url
    finally:
        await engine.stop()
    assert relay.busiest_second() <= 50
    assert len(relay.seen) == number


@pytest.mark.parametrize(
    ("told", "share"),
    [
        pytest.param(True, 0.3, marks=pytest.mark.soak),
        pytest.param(True, 1.0, marks=[pytest.mark.soak, pytest.mark.timeout(400)]),
        pytest.param(False, 1.0, marks=[pytest.mark.soak, pytest.mark.timeout(400)]),
    ],
)
async def test_a_tracker_that_comes_back_is_told_of_everything_again_within_minutes(
    told: bool,  # noqa: FBT001 -- a parameter
    share: float,
    relay: Relay,
    tracker: Any,
    tmp_path: Path,
) -> None:
    """While it is down nobody new is sent to it and it is hardly asked; when it answers, told by others or found out,
    every torrent is announced again, spread.
    """
    keys = held_before(tmp_path, [relay.url], 150)
    serve(tracker, keys)
    relay.dead = True
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        await until(lambda: health(engine) and health(engine).failures >= 90, within_s=60)
        assert health(engine).reason == "timed out"
        assert health(engine).answered_at is None
        asked = relay.packets
        assert asked <= 150
        await asyncio.sleep(5)  # nothing comes, and nothing tells of it
        assert relay.packets - asked <= 5
        relay.dead = False
        if told:
            engine.tracker_answers(relay.url)
        await until(lambda: len(relay.heard_of()) >= share * len(keys), within_s=240)
        await until(lambda: health(engine).failures == 0, within_s=20)
    finally:
        await engine.stop()
    assert relay.busiest_second() <= 50


async def test_standing_still_and_going_on_is_no_burst(relay: Relay, tracker: Any, tmp_path: Path) -> None:
    """Of many torrents nobody says goodbye when the disk is gone; when it is back each is announced again, paced."""
    keys = held_before(tmp_path, [relay.url], 120)
    serve(tracker, keys)
    engine = engine_at(NODE, tmp_path, announces_per_s=40)
    await engine.start()
    try:
        await until(lambda: len(relay.heard_of()) == len(keys), within_s=60)
        engine.stand_still(still=True)
        before = len(relay.seen)
        await asyncio.sleep(2)  # nothing comes, and nothing tells of it
        assert len(relay.seen) == before
        engine.stand_still(still=False)
        await until(lambda: set(relay.heard_of().values()) == {2}, within_s=60)
    finally:
        await engine.stop()
    assert relay.busiest_second() <= 100  # two seconds' worth may meet at the edge of one
    assert all(each.event != STOPPED for each in relay.seen)


async def test_a_few_torrents_say_goodbye(relay: Relay, tracker: Any, tmp_path: Path) -> None:
    """A node of a few torrents tells its tracker that it leaves, at a pause and at the stop."""
    keys = held_before(tmp_path, [relay.url], 5)
    serve(tracker, keys)
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    await until(lambda: len(relay.heard_of()) == len(keys), within_s=30)
    engine.stand_still(still=True)
    await until(lambda: sum(each.event == STOPPED for each in relay.seen) == len(keys), within_s=10)
    engine.stand_still(still=False)
    await until(lambda: len(relay.seen) == 3 * len(keys), within_s=30)
    await engine.stop()
    assert sum(each.event == STOPPED for each in relay.seen) == 2 * len(keys)


async def test_a_dead_tracker_silences_no_other(relay: Relay, tracker: Any, tmp_path: Path) -> None:
    """Of three trackers one is dead by UDP, one by HTTP: the third hears of every torrent; health tells them apart."""
    dead = ["udp://127.0.100.9:9/announce", "http://127.0.100.9:9/0123456789abcdef/announce"]
    keys = held_before(tmp_path, [*dead, relay.url], 20)
    serve(tracker, keys)
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        await until(lambda: len(relay.heard_of()) == len(keys), within_s=60)
        await until(lambda: sum(each.failures >= 1 for each in engine.trackers()) == 2, within_s=60)
        seen = {each.url: each for each in engine.trackers()}
        assert set(seen) == {dead[0], "http://127.0.100.9:9/announce", relay.url}
        assert seen[relay.url].failures == 0
        assert seen[dead[0]].answered_at is None
        assert seen["http://127.0.100.9:9/announce"].reason == "Connection refused"
    finally:
        await engine.stop()


async def test_an_http_tracker_lists_the_node_and_refuses_what_it_does_not_serve(tracker: Any, tmp_path: Path) -> None:
    """Announces by HTTP are answered; a torrent that the tracker does not want is not the tracker's failure."""
    one = tracker([])
    keys = held_before(tmp_path, [one.http], 4)
    one.stop()
    one.start(keys[:3])
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        refused = engine._torrents[keys[3]].told[one.http]
        await until(lambda: health(engine) and health(engine).answered_at and refused.failed, within_s=30)
        assert health(engine).failures == 0
    finally:
        await engine.stop()


async def test_a_torrent_that_is_taken_out_and_in_again_is_not_said_to_be_gone(
    relay: Relay, tracker: Any, tmp_path: Path
) -> None:
    """An eviction takes the torrent out of the session for a moment: the tracker hears of it again and is never told
    goodbye; a torrent of which nothing is left says goodbye.
    """
    keys = held_before(tmp_path, [relay.url], 2, pieces=2)
    serve(tracker, keys)
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        await until(lambda: len(relay.heard_of()) == len(keys), within_s=30)
        await engine.evict(keys[0], Bitfield.from_indices([1], 2))
        await until(lambda: relay.heard_of()[keys[0]] == 2, within_s=30)
        assert all(each.event != STOPPED for each in relay.seen)
        await engine.evict(keys[1], Bitfield.full(2))
        await until(lambda: [e.info_hash for e in relay.seen if e.event == STOPPED] == [keys[1]], within_s=30)
    finally:
        await engine.stop()


async def test_a_restart_announces_to_the_trackers_of_the_resume_file(
    relay: Relay, tracker: Any, tmp_path: Path
) -> None:
    """Whatever libtorrent knew of trackers when it saved, the file names all of them."""
    keys = held_before(tmp_path, ["udp://127.0.100.9:9/announce", relay.url], 1)
    serve(tracker, keys)
    for starts in (1, 2):
        engine = engine_at(NODE, tmp_path)
        await engine.start()
        await engine._keeper.save(engine._torrents[keys[0]])
        await until(lambda starts=starts: sum(e.event == STARTED for e in relay.seen) == starts, within_s=30)
        await engine.stop()


async def test_a_refusal_in_words_that_are_not_utf8_is_a_refusal(tmp_path: Path) -> None:
    """A tracker that speaks Latin-1 refuses a torrent: that is seen, and nothing else is lost with it."""
    body = "d14:failure reason8:r\u00e9fus\u00e9 !e".encode("latin-1")

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.100.8", 6969)
    url = "http://127.0.100.8:6969/announce"
    keys = held_before(tmp_path, [url], 3)
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        told = [engine._torrents[key].told[url] for key in keys]
        await until(lambda: all(each.failed for each in told), within_s=30)
    finally:
        await engine.stop()
        server.close()
