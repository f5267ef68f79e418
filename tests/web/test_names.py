"""Look-ups of names: the host's own resolver, bounded, on nobody else's threads."""

import asyncio
import threading

import pytest

from smartnode.web import names


async def test_names_and_numbers_are_looked_up() -> None:
    """Each address once; what is no name is an error that callers know."""
    assert "127.0.0.1" in await names.look_up("localhost", 80)
    assert await names.look_up("192.0.2.1", 80) == ["192.0.2.1"]
    for wrong in ("a..b", "x" * 64, "a\0b"):
        with pytest.raises((OSError, ValueError)):
            await names.look_up(wrong, 80)


async def test_a_resolver_that_does_not_answer_holds_up_no_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 look-ups hang: the next fails at once, the loop's threads stay free, and who gives up waits no longer."""
    hang = threading.Event()
    monkeypatch.setattr(names.socket, "getaddrinfo", lambda *_, **__: hang.wait(30) and [])
    asked = [asyncio.create_task(names.look_up(f"{n}.example", 80)) for n in range(names.AT_ONCE)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="already"):
            await names.look_up("more.example", 80)
        assert await asyncio.to_thread(lambda: 7) == 7
        asked[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked[0]
    finally:
        hang.set()
    assert await asyncio.gather(*asked[1:]) == [[]] * (names.AT_ONCE - 1)
    monkeypatch.undo()
    assert await names.look_up("192.0.2.1", 80) == ["192.0.2.1"]
