"""The publisher's server: one folder over HTTP with Range on a loopback address of its own; once stopped it refuses.

It runs in a thread with a loop of its own, so that hashing and drawing never hold up a web seed.
"""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smartnode.cli.demo.failure import DemoError

START_DEADLINE_S = 10.0
STOP_DEADLINE_S = 10.0
_OPEN_REQUESTS_DEADLINE_S = 1
_ASK_TIMEOUT_S = 2.0
_POLL_S = 0.01


class Origin:
    """Serves *folder*; used once: started, stopped, never started again."""

    def __init__(self, folder: Path, *, host: str) -> None:
        """Bind a free port of *host*; nothing is answered before the start. DemoError when the host is not ours."""
        self._meter = _Meter(Starlette(routes=[Mount("/", StaticFiles(directory=folder))]))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind((host, 0))
        except OSError as error:
            self._socket.close()
            message = f"the origin cannot listen on {host} ({error.strerror})"
            raise DemoError(message, cure="the demo needs the loopback addresses 127.0.0.0/8") from error
        self._address: tuple[str, int] = self._socket.getsockname()
        config = uvicorn.Config(
            self._meter,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_OPEN_REQUESTS_DEADLINE_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="origin", daemon=True)

    @property
    def url(self) -> str:
        """Where the folder is served, without a slash at the end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def served_bytes(self) -> int:
        """Bytes of bodies sent since the start."""
        return self._meter.sent

    def start(self) -> None:
        """Serve; returns once requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                message = "the origin did not start"
                raise DemoError(message)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Close every connection and the port; DemoError when the thread does not end in time. Safe to call twice."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(STOP_DEADLINE_S)
        self._socket.close()
        if self._thread.is_alive():
            message = f"the origin did not stop within {STOP_DEADLINE_S:.0f} s"
            raise DemoError(message)

    def refuses(self) -> bool:
        """A new connection to the address is refused by the kernel, as seen by one that was tried now."""
        with suppress(TimeoutError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
            caller.settimeout(_ASK_TIMEOUT_S)
            try:
                caller.connect(self._address)
            except ConnectionRefusedError:
                return True
        return False


class _Meter:
    """Counts the bytes of bodies on their way out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.sent += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, counted)
