"""A publisher with an origin, and whole nodes as processes of their own, each on its own loopback address."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smartnode.cli.demo.origin import Origin
from tests.nodes import Fetched, RunningNode, Site, fetch_from, wait_for


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A publisher that is gone after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    origin = Origin(folder, host="127.0.200.1")
    origin.start()
    yield Site(folder=folder, origin=origin)
    origin.stop()


@pytest.fixture
def stalling() -> Iterator[str]:
    """The address of a server that accepts, promises a body and never sends it."""
    listener = socket.create_server(("127.0.201.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nd8:")
            held.append(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.201.1:{listener.getsockname()[1]}/slow.torrent"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in held:
        connection.close()


@pytest.fixture
def fetch() -> Callable[..., Fetched]:
    """The plain client."""
    return fetch_from


@pytest.fixture
def wait() -> Callable[..., Any]:
    """Waiting with a deadline."""
    return wait_for


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[[int], RunningNode]]:
    """Makes nodes; node i lives at 127.0.i.1; all are ended after the test."""
    made: list[RunningNode] = []

    def make(number: int) -> RunningNode:
        running = RunningNode(tmp_path / f"node{number}", host=f"127.0.{number}.1", api_port=18_700 + number)
        made.append(running)
        return running

    yield make
    for running in reversed(made):
        running.process.ask_to_stop()
    for running in reversed(made):
        running.process.end()
