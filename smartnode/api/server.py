"""Serves the API inside the node's own loop; started before it is announced, stopped within its deadline."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.applications import Starlette

from smartnode.errors import ConfigError, SmartnodeError

START_DEADLINE_S = 10.0
STOP_DEADLINE_S = 2


class _QuietServer(uvicorn.Server):
    """A server that leaves signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take over no signal: SIGTERM stops the whole node, in its own order."""
        yield


class Server:
    """One uvicorn server on one address; it installs no signal handlers."""

    def __init__(self, app: Starlette, *, host: str, port: int) -> None:
        """Serve *app* at *host*:*port*; port 0 takes a free one."""
        self._app = app
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is served, 0 before the start."""
        return self._socket.getsockname()[1] if self._socket else 0

    async def start(self) -> None:
        """Bind and serve; ConfigError when the address is taken or not ours."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            message = f"the API cannot listen on {self._host}:{self._port} ({error.strerror})"
            raise ConfigError(message, cure="set api.listen to a free port of this host") from error
        self._socket = listener
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_DEADLINE_S
        )
        self._server = _QuietServer(config)
        self._task = asyncio.create_task(self._server.serve([listener]))
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                while not self._server.started:
                    if self._task.done():
                        message = "the API ended while starting"
                        raise SmartnodeError(message)
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            message = f"the API did not start within {START_DEADLINE_S:.0f} s"
            raise SmartnodeError(message, cure="the host is overloaded: try again") from error

    async def stop(self) -> None:
        """Finish open requests within the deadline, then close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        if self._socket is not None:
            self._socket.close()
