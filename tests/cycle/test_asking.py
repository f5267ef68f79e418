"""Asking ends: by answers, by time, or because the host needs the node; who fails once is left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from smartnode.cycle.asking import ask_in_turn

LONG = 60.0
Question = tuple[str, int]
QUEUES = [[(name, number) for number in range(3)] for name in ("quick", "silent", "liar")]


class Holders:
    """Holders that answer at once, never, or badly; *asked* is what they heard."""

    def __init__(self) -> None:
        """Nobody was asked yet."""
        self.asked: list[Question] = []
        self.answered = 0
        self.reached = asyncio.Event()

    async def ask(self, question: Question) -> bool:
        """Put one question."""
        self.asked.append(question)
        if question[0] == "silent":
            self.reached.set()
            await asyncio.Event().wait()
        self.answered += 1
        return question[0] == "quick"


async def ended(ask: Callable[[Question], Awaitable[bool]], *, within_s: float, off: asyncio.Event) -> None:
    """Ask all; it is over long before the silent would be."""
    async with asyncio.timeout(LONG / 2):
        await ask_in_turn(QUEUES, ask, within_s=within_s, called_off=off)


async def test_nobody_holds_up_the_others() -> None:
    """Beside one that never answers the quick one is asked everything, the one that failed nothing more."""
    holders = Holders()
    await ended(holders.ask, within_s=0.3, off=asyncio.Event())
    assert sorted(holders.asked) == [("liar", 0), ("quick", 0), ("quick", 1), ("quick", 2), ("silent", 0)]
    assert holders.answered == 4


@pytest.mark.parametrize("within_s", [0.0, -5.0])
async def test_without_time_nobody_is_waited_for(within_s: float) -> None:
    """No time is left when looking took it all."""
    await ended(Holders().ask, within_s=within_s, off=asyncio.Event())


async def test_called_off_means_now() -> None:
    """However much time is left, nobody is waited for once the host needs the node."""
    holders, off = Holders(), asyncio.Event()
    asking = asyncio.create_task(ended(holders.ask, within_s=LONG, off=off))
    await holders.reached.wait()
    assert not asking.done()
    off.set()
    await asking


async def test_it_ends_with_the_last_answer() -> None:
    """The time is a bound, not a wait; nothing to ask ends at once."""
    holders = Holders()
    async with asyncio.timeout(LONG / 2):
        await ask_in_turn([QUEUES[0], QUEUES[2]], holders.ask, within_s=LONG, called_off=asyncio.Event())
        await ask_in_turn([], holders.ask, within_s=LONG, called_off=asyncio.Event())
    assert holders.answered == 4


async def test_a_fault_of_our_own_is_not_silence() -> None:
    """It goes on to whoever asked."""

    async def broken(question: Question) -> bool:
        raise ZeroDivisionError(question)

    with pytest.raises(ExceptionGroup) as caught:
        await ended(broken, within_s=LONG, off=asyncio.Event())
    assert caught.group_contains(ZeroDivisionError)
