"""Announces at a real tracker: paced at the start, at a pause and at a stop; nobody is forgotten."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smartnode.engine.session import Engine
from tests.engine.node import engine_at
from tests.network.engine_lab import Relay, held_before

HOST, BEHIND = "127.0.100.1", ("127.0.100.2", 6970)
NODE = "127.0.60.1"


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay on 127.0.100.1 before a tracker on 127.0.100.2."""
    one = Relay(HOST, 6969, BEHIND)
    yield one
    one.close()


async def until(claim: Callable[[], Any], *, within_s: float) -> None:
    """Wait until a claim holds."""
    async with asyncio.timeout(within_s):
        while not claim():  # noqa: ASYNC110 -- what others see is read, it signals nothing
            await asyncio.sleep(0.1)


def health(engine: Engine) -> Any:
    """Return the only tracker's health, None before it was counted."""
    return next(iter(engine.trackers()), None)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_many_torrents_started_at_once_are_all_announced_and_never_in_a_burst(
    count: int, relay: Relay, tracker: Any, tmp_path: Path
) -> None:
    """Each is announced once and none times out; no second sees more than 50 announces; the stop of so many sends
    none at all.
    """
    keys = held_before(tmp_path, [relay.url], count)
    tracker(keys, host=BEHIND[0], port=BEHIND[1])
    engine = engine_at(NODE, tmp_path)
    await engine.start()
    try:
        assert len(engine.holdings()) == count
        await until(lambda: len(relay.heard_of()) == count, within_s=600)
        await until(lambda: health(engine) and health(engine).answered_at, within_s=10)
        assert set(relay.heard_of().values()) == {1}
        assert health(engine).torrents == count
        assert (health(engine).failures, health(engine).reason, health(engine).silent) == (0, "", 0)
        assert health(engine).url == "udp://127.0.100.1:6969/announce"
    finally:
        await engine.stop()
    assert relay.busiest_second() <= 50
    assert len(relay.seen) == count
