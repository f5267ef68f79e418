"""libtorrent's alerts arrive on the asyncio loop, in order, and whoever waits for an answer waits with a deadline.

The session writes to a pipe when its queue stops being empty (set_alert_fd). set_alert_notify is never used: it
deadlocks against binding calls that keep the interpreter's lock.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

import libtorrent as lt
import structlog

from smartnode.domain.identity import InfoHash
from smartnode.engine.copying import copy_alert
from smartnode.engine.events import AlertsLost, Event
from smartnode.errors import EngineError

_READ = 4096
E = TypeVar("E")

log = structlog.get_logger(__name__)


class Alerts:
    """The events of one session."""

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        """Hand every event to *deliver* on the loop; it must not block."""
        self._deliver = deliver
        self._session: lt.session | None = None
        self._read = self._write = -1
        self._waiting: dict[tuple[type[Any], InfoHash | None], asyncio.Future[Any]] = {}

    def open(self, session: lt.session) -> None:
        """Start listening to *session* on the running loop."""
        self._session = session
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._read, self._drain)
        session.set_alert_fd(self._write)
        self._drain()

    def close(self) -> None:
        """Stop listening; whoever still waits is told with EngineError."""
        if self._session is None:
            return
        self._session.set_alert_fd(-1)
        self._session = None
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        os.close(self._write)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineError("the session was stopped"))
        self._waiting.clear()

    def expect(self, *kinds: type[Any], info_hash: InfoHash | None = None) -> asyncio.Future[Any]:
        """Return a future of the next event of one of *kinds* about *info_hash*; call it before asking.

        One waiter per kind and torrent: the torrent's lock is held by the caller.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        keys = [(kind, info_hash) for kind in kinds]
        for key in keys:
            self._waiting[key] = future

        def forget(_: asyncio.Future[Any]) -> None:
            for key in keys:
                if self._waiting.get(key) is future:
                    del self._waiting[key]

        future.add_done_callback(forget)
        return future

    def _drain(self) -> None:
        try:
            while len(os.read(self._read, _READ)) == _READ:
                pass
        except BlockingIOError:
            pass
        if self._session is None:
            return
        # All are copied before any is delivered: the next pop_alerts, whoever calls it, ends their lives.
        for event in [copied for copied in map(_copied, self._session.pop_alerts()) if copied is not None]:
            future = self._waiting.get((type(event), getattr(event, "info_hash", None)))
            if future is not None and not future.done():
                future.set_result(event)
            self._deliver(event)


def _copied(alert: Any) -> Event | None:
    """Copy one alert; one that cannot be copied is lost alone, and said to be."""
    try:
        return copy_alert(alert)
    except Exception:
        log.exception("engine.alert_not_read", kind=type(alert).__name__)
        return AlertsLost()


async def answer(future: asyncio.Future[E], *, within_s: float, what: str) -> E:
    """Return the awaited event; EngineError when the session does not answer within *within_s* seconds."""
    try:
        async with asyncio.timeout(within_s):
            return await future
    except TimeoutError as error:
        message = f"the session did not answer within {within_s:.0f} s: {what}"
        raise EngineError(message, cure="look at the disk's load; the next cycle tries again") from error
