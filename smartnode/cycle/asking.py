"""Holders are asked in bounded time, and who does not answer once is not waited for again: a peer that keeps us waiting
costs one wait and one place, and holds up neither those who answer nor the protection of the host's disk.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

Question = TypeVar("Question")


async def ask_in_turn(
    queues: Iterable[Sequence[Question]],
    ask: Callable[[Question], Awaitable[bool]],
    *,
    within_s: float,
    called_off: asyncio.Event,
) -> None:
    """Put the questions of each of *queues* one after another, all queues side by side; *ask* returns whether the rest
    of the queue is worth asking. What is not answered within *within_s*, or when *called_off* is set, stays unasked.
    """
    asking = asyncio.create_task(_all(queues, ask))
    waiting = asyncio.create_task(called_off.wait())
    try:
        await asyncio.wait((asking, waiting), timeout=max(0.0, within_s), return_when=asyncio.FIRST_COMPLETED)
    finally:
        asking.cancel()
        waiting.cancel()
        await asyncio.wait((asking, waiting))
    if not asking.cancelled():
        asking.result()  # a fault of our own is no silence of theirs


async def _all(queues: Iterable[Sequence[Question]], ask: Callable[[Question], Awaitable[bool]]) -> None:
    async with asyncio.TaskGroup() as group:
        for queue in queues:
            group.create_task(_one(deque(queue), ask))


async def _one(queue: deque[Question], ask: Callable[[Question], Awaitable[bool]]) -> None:
    while queue and await ask(queue.popleft()):
        pass
