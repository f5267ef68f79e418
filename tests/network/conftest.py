"""A network of its own for every test here: nothing in it reaches this host's, and what it needs of Debian is real.

Each test runs in a fresh network namespace (loopback only, until the test adds more). Whatever is missing (root, a
program) skips the test and says so; continuous integration installs all of it.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from smartnode.cli.demo.origin import Origin
from tests.nodes import RunningNode, Site, wait_for

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
PACKAGES = {
    "opentracker": "opentracker",
    "nginx": "nginx-light",
    "transmission-daemon": "transmission-daemon",
    "qbittorrent-nox": "qbittorrent-nox",
    "aria2c": "aria2",
    "nft": "nftables",
    "ip": "iproute2",
    "microsocks": "microsocks",
    "tinyproxy": "tinyproxy-bin",
}


def need(program: str) -> str:
    """Return the path of a program; the test is skipped, and says why, where it is not installed."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"NOT RUN: {program} is missing; apt install {PACKAGES.get(program, program)}")
    return found


def run(*command: str, text: str | None = None) -> str:
    """Return what *command* prints; fails with its complaint."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own; OSError where the host allows none."""
    if _LIBC.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter(space: int) -> None:
    """Put the calling thread into the network namespace that the descriptor *space* is open on."""
    if _LIBC.setns(space, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Processes:
    """Programs that a test started; each is ended by its pid, the last one first."""

    def __init__(self, folder: Path) -> None:
        """Write their output below *folder*."""
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start *command*; what it prints is in the test's folder."""
        log = self._folder / f"{len(self._running)}-{Path(command[0]).name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=self._folder
            )
        self._running.append(process)
        return process

    @staticmethod
    def end(process: subprocess.Popen[bytes], *, within_s: float = 10.0) -> None:
        """End one of them: asked first, then made to."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(within_s)

    def end_all(self) -> None:
        """End every one."""
        for process in reversed(self._running):
            self.end(process)


class Tracker:
    """Debian's opentracker, which serves the info-hashes that it is told of; TCP and UDP on one port."""

    def __init__(self, processes: Processes, folder: Path, *, host: str, port: int) -> None:
        """Prepare; nothing runs before start."""
        self._program = need("opentracker")
        self._processes = processes
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host, self.port = host, port

    @property
    def udp(self) -> str:
        """Its address by UDP (BEP 15)."""
        return f"udp://{self.host}:{self.port}/announce"

    @property
    def http(self) -> str:
        """Its address by HTTP."""
        return f"http://{self.host}:{self.port}/announce"

    def start(self, hashes: Sequence[str]) -> None:
        """Serve *hashes* (40 hex digits each)."""
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o755)
        for parent in self._folder.parents:  # it runs as nobody
            if parent.stat().st_uid == os.getuid() and parent.name.startswith("pytest-"):
                parent.chmod(0o755)
        (self._folder / "white.txt").write_text("".join(f"{h}\n" for h in hashes))
        place = (str(self.port), "-P", str(self.port), "-u", "nobody", "-d", str(self._folder))
        self._process = self._processes.start(self._program, "-i", self.host, "-p", *place, "-w", "white.txt")
        wait_for("opentracker", self._listens, deadline_s=20, pause_s=0.02)
        first = next(iter(hashes), None)
        if first is not None:  # it reads its list in a thread of its own, and refuses everything until then
            wait_for("opentracker's list", lambda: self._serves(first), deadline_s=20, pause_s=0.02)

    def _serves(self, info_hash: str) -> bool:
        """Say goodbye to a swarm that we are not in: answered only when the torrent is on the list. Asked from the
        tracker's own address, so that who counts packets to it counts those of others.
        """
        swarm = quote_from_bytes(bytes.fromhex(info_hash), safe="")
        asked = f"info_hash={swarm}&peer_id={'-' * 20}&port=1&left=0&uploaded=0&downloaded=0&event=stopped"
        with httpx.Client(transport=httpx.HTTPTransport(local_address=self.host), timeout=5) as client:
            answer = client.get(f"{self.http}?{asked}")
        return b"failure reason" not in answer.content

    def stop(self) -> None:
        """End it; its swarms are forgotten."""
        if self._process is not None:
            self._processes.end(self._process)
            self._process = None

    def _listens(self) -> bool:
        return f"{self.host}:{self.port}" in run(need("ss"), "-lnt")


class Nginx:
    """Debian's nginx: files by HTTP with ranges and validators, as fast as *rate* (bytes per second) allows."""

    def __init__(self, processes: Processes, folder: Path, root: Path, *, host: str, port: int, rate: int = 0) -> None:
        """Serve *root* at *host*:*port*; *rate* per connection, 0 = no limit."""
        self._program = need("nginx")
        self._processes = processes
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host, self.port = host, port
        folder.mkdir(exist_ok=True)
        (folder / "nginx.conf").write_text(
            f"""
daemon off; master_process off; worker_processes 1; user root;
pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log; sendfile on; default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen {host}:{port}; root {root}; limit_rate {rate}; }}
}}
"""
        )

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def requests(self) -> list[str]:
        """The lines of its access log."""
        log = self._folder / "access.log"
        return log.read_text().splitlines() if log.exists() else []

    def start(self) -> None:
        """Begin to serve."""
        config = str(self._folder / "nginx.conf")
        self._process = self._processes.start(
            self._program, "-c", config, "-p", str(self._folder), "-e", str(self._folder / "error.log")
        )
        wait_for("nginx", lambda: f"{self.host}:{self.port}" in run(need("ss"), "-lnt"), deadline_s=20, pause_s=0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._processes.end(self._process)
            self._process = None


@pytest.fixture(autouse=True)
def netns() -> Iterator[None]:
    """Put the test's thread, and all that it starts, into a new network namespace whose loopback is up."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: network namespaces need root; run `make test` as root")
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        try:
            unshare(CLONE_NEWNET)
        except OSError as error:
            pytest.skip(f"NOT RUN: this host allows no network namespace ({error})")
        try:
            run(need("ip"), "link", "set", "lo", "up")
            yield
        finally:
            enter(before.fileno())


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Programs that end with the test."""
    folder = tmp_path / "processes"
    folder.mkdir()
    started = Processes(folder)
    yield started
    started.end_all()


@pytest.fixture
def tracker(processes: Processes, tmp_path: Path) -> Callable[..., Tracker]:
    """Makes trackers: ``tracker(hashes, host=..., port=...)`` returns one that runs."""

    def make(hashes: Sequence[str], *, host: str = "127.0.100.1", port: int = 6969) -> Tracker:
        made = Tracker(processes, tmp_path / f"tracker-{host}-{port}", host=host, port=port)
        made.start(hashes)
        return made

    return make


@pytest.fixture
def nginx(processes: Processes, tmp_path: Path) -> Callable[..., Nginx]:
    """Makes web servers: ``nginx(root, host=..., port=..., rate=...)`` returns one that runs."""

    def make(root: Path, *, host: str = "127.0.101.1", port: int = 8080, rate: int = 0) -> Nginx:
        made = Nginx(processes, tmp_path / f"nginx-{host}-{port}", root, host=host, port=port, rate=rate)
        made.start()
        return made

    return make


@pytest.fixture
def wait() -> Callable[..., Any]:
    """Waiting with a deadline."""
    return wait_for


@pytest.fixture
def started() -> Iterator[Callable[[RunningNode], RunningNode]]:
    """Starts nodes and ends them after the test."""
    running: list[RunningNode] = []

    def start(node: RunningNode) -> RunningNode:
        running.append(node)
        node.start()
        return node

    yield start
    for node in reversed(running):
        node.process.ask_to_stop()
        node.process.end()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A publisher that is gone after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    origin = Origin(folder, host="127.0.200.1")
    origin.start()
    yield Site(folder=folder, origin=origin)
    origin.stop()
