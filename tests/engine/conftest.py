"""Real sessions on loopback: engines under test, plain libtorrent clients, an HTTP server with Range."""

import asyncio
import importlib.util
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import libtorrent as lt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bitfield
from smartnode.engine.session import Engine
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from tests.plain import SILENT

PIECE = 1 << 18
QUIET = SILENT | {
    "close_redundant_connections": False,
    "allow_multiple_connections_per_ip": True,
    "ssrf_mitigation": False,
    # uTP is accepted and not dialled: its sockets take seconds to say goodbye.
    "enable_outgoing_utp": False,
    "utp_fin_resends": 0,
    "alert_mask": int(lt.alert_category.error | lt.alert_category.status),
}


def _load_node() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_test_node", Path(__file__).with_name("node.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def node() -> ModuleType:
    """The module of the test node (folders, punching, the program that is killed)."""
    return _load_node()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A dataset: its files, its .torrent, the item that names it."""

    root: Path
    metainfo: Metainfo
    item: Item
    torrent_path: Path

    @property
    def count(self) -> int:
        """Pieces."""
        return self.metainfo.layout.num_pieces

    def pieces(self, *indices: int) -> Bitfield:
        """Return a set of pieces."""
        return Bitfield.from_indices(indices, self.count)


def sample_of(folder: Path, files: dict[str, int], **options: object) -> Sample:
    """Write random *files* (name: size) and make their torrent."""
    folder.mkdir(parents=True)
    for name, size in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    top = folder / next(iter(files)).split("/")[0]
    raw = make_torrent(top, piece_length=PIECE, **options)
    torrent_path = folder.with_name(f"{folder.name}.torrent")
    torrent_path.write_bytes(raw)
    item = Item(key=ItemKey(collection="c", id="x"), torrent=None)
    return Sample(root=folder, metainfo=read_metainfo(raw), item=item, torrent_path=torrent_path)


@pytest.fixture
def make_sample(tmp_path: Path) -> Callable[..., Sample]:
    """Make a dataset below the test's folder."""
    return lambda files=None, name="src", **options: sample_of(
        tmp_path / name, {"x.bin": 40 * PIECE + 777} if files is None else files, **options
    )


@pytest.fixture
async def engines(tmp_path: Path, node: ModuleType) -> AsyncIterator[Callable[..., Awaitable[Engine]]]:
    """Give a starter whose engines are stopped at the end of the test; number 1 runs on 127.0.60.1."""
    started: list[Engine] = []

    async def start(number: int, *, folder: Path | None = None, **changes: object) -> Engine:
        where = tmp_path / f"node{number}" if folder is None else folder
        engine: Engine = node.engine_at(f"127.0.60.{number}", where, **changes)
        await engine.start()
        started.append(engine)
        return engine

    yield start
    await asyncio.gather(*(engine.stop() for engine in started))


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait until a claim holds; fail after the deadline."""

    async def wait(claim: Callable[[], bool], *, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not claim():  # noqa: ASYNC110 -- the engine's holdings are read, they signal nothing
                await asyncio.sleep(0.02)

    return wait


class Client:
    """A plain libtorrent session, as strangers run it."""

    def __init__(self, host: str, **settings: object) -> None:
        """Listen on *host*."""
        self.host = host
        self.session = lt.session(QUIET | {"listen_interfaces": f"{host}:0", "outgoing_interfaces": host} | settings)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.session.listen_port()

    def add(self, sample: Sample, folder: Path, *, wanted: Bitfield | None = None) -> lt.torrent_handle:
        """Add the dataset: files that lie there are hashed, *wanted* pieces fetched."""
        params = lt.load_torrent_buffer(sample.metainfo.raw)
        params.save_path = str(folder)
        params.flags &= ~int(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
        params.url_seeds = []
        if wanted is not None:
            params.piece_priorities = (wanted.to_array() * 4).tolist()
        return self.session.add_torrent(params)

    def fetch(self, sample: Sample, folder: Path, *, wanted: Bitfield, peer: tuple[str, int], within_s: float) -> int:
        """Fetch *wanted* from *peer* alone; returns how many pieces failed their hash. Blocking."""
        handle = self.add(sample, folder, wanted=wanted)
        handle.connect_peer(peer)
        failed, deadline = 0, time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.session.wait_for_alert(200)
            alerts = [type(alert) for alert in self.session.pop_alerts()]
            failed += alerts.count(lt.hash_failed_alert)
            held = handle.status(lt.torrent_handle.query_pieces).pieces
            if failed or all(held[piece] for piece in wanted.indices()):
                return failed
        message = f"{sum(held)} of {wanted.count()} pieces after {within_s} s"
        raise TimeoutError(message)


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Start plain clients: ``client(5)`` runs on 127.0.61.5."""
    made: list[Client] = []

    def start(number: int, **settings: object) -> Client:
        made.append(Client(f"127.0.61.{number}", **settings))
        return made[-1]

    yield start
    for one in made:
        one.session.pause()
    made.clear()


@pytest.fixture
def seeder(client: Callable[..., Client]) -> Callable[[Sample], Client]:
    """Seed a dataset from its own files with a plain client."""

    def start(sample: Sample, *, number: int = 1, **settings: object) -> Client:
        one = client(number, **settings)
        handle = one.add(sample, sample.root)
        deadline = time.monotonic() + 20
        while not handle.status().is_seeding and time.monotonic() < deadline:
            one.session.wait_for_alert(100)
            one.session.pop_alerts()
        assert handle.status().is_seeding
        return one

    return start


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder by HTTP with Range on 127.0.62.1; returns its address, with a slash."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(folder: Path) -> str:
        app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))])
        config = uvicorn.Config(app, host="127.0.62.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            thread.join(0.02)
        running.append((server, thread))
        return f"http://127.0.62.1:{server.servers[0].sockets[0].getsockname()[1]}/"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
