"""How much of what two web servers and one peer offer reaches a node that uses all three at once.

Two nginx with 20 MB/s for each connection and a plain libtorrent seeder of 20 MB/s, on loopback in a network namespace
of its own (root). Printed for each run: the rate over the sum of the three. Target: 0.85. Run as root:
python benchmarks/mixed_sources.py [--runs 5] [--megabytes 600]
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter

import libtorrent as lt

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, client_of, node_id
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.session import Engine
from smartnode.engine.settings import EngineSettings
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo

INSIDE = "MIXED_SOURCES_INSIDE"
RATE = 20_000_000
PIECE = 4 << 20
WEB = ("127.0.101.1", "127.0.101.2")
PEER, NODE = "127.0.61.1", "127.0.60.1"


class Folders:
    """Where the node's items lie; nothing is ever let go."""

    def __init__(self, root: Path) -> None:
        """Use *root*."""
        self._root = root

    def whole(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return the place of whole items."""
        return self._root / "whole" / f"{item_key.id}~{info_hash[:8]}"

    def partial(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return the place of partial items."""
        return self._root / "partial" / f"{item_key.id}~{info_hash[:8]}"

    def punch(self, path: Path, runs: object) -> None:
        """Nothing is punched: every piece is wanted."""

    def require_root(self) -> None:
        """The folder is the caller's own: it is always there."""

    def remove_empty(self, folder: Path) -> None:
        """Remove an empty folder."""
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def web_server(folder: Path, root: Path, host: str) -> Iterator[None]:
    """Run nginx at *host*:8080, RATE bytes a second for each connection."""
    folder.mkdir()
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; user root; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 64; }}\nhttp {{ access_log off; sendfile on; client_body_temp_path {folder}/b;\n"
        f"{temporary}\nserver {{ listen {host}:8080; root {root}; limit_rate {RATE}; }} }}\n"
    )
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        message = "nginx is missing; apt install nginx-light"
        raise SystemExit(message)
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def seeder(raw: bytes, folder: Path) -> lt.session:
    """Return a plain session that seeds the file at RATE."""
    session = lt.session(
        {
            "listen_interfaces": f"{PEER}:6881",
            "outgoing_interfaces": PEER,
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "dht_bootstrap_nodes": "",
            "webtorrent_stun_server": "",
            "alert_mask": 0,
            "upload_rate_limit": RATE,
        }
    )
    classes = lt.ip_filter()  # libtorrent's own limit spares local peers
    classes.add_rule("0.0.0.0", "255.255.255.255", 1 << int(lt.session.global_peer_class_id))  # noqa: S104 -- a range
    session.set_peer_class_filter(classes)
    params = lt.load_torrent_buffer(raw)
    params.save_path, params.url_seeds = str(folder), []
    params.flags = (params.flags & ~int(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)) | int(
        lt.torrent_flags.seed_mode
    )
    session.add_torrent(params)
    return session


async def fetch(metainfo: Metainfo, folder: Path, urls: list[str], peer: Address | None) -> float:
    """Return the seconds until a new node holds everything."""
    rooms = Folders(folder / "data")
    settings = EngineSettings(
        node_id=node_id(NODE_ID_PREFIX + os.urandom(12)),
        client=client_of("0.1.0", "d4c"),
        network_id="d4c",
        listen=(f"{NODE}:0",),
        outgoing=NODE,
        dht=False,
        allow_private=True,
        state_dir=folder / "state",
    )
    engine = Engine(settings, places=rooms, puncher=rooms)
    await engine.start()
    try:
        count = metainfo.layout.num_pieces
        began, deadline = perf_counter(), monotonic() + 300
        item = Item(key=ItemKey(collection="c", id="x"), torrent=None)
        await engine.want(item, metainfo, Bitfield.full(count))
        engine.use_web_seeds(metainfo.info_hash, urls)
        if peer is not None:
            await engine.introduce(metainfo.info_hash, [peer])
        while engine.holdings()[metainfo.info_hash].have.count() < count:
            if monotonic() > deadline:
                message = "not fetched within 300 s"
                raise SystemExit(message)
            await asyncio.sleep(0.05)
        return perf_counter() - began
    finally:
        await engine.stop()


def measure(runs: int, megabytes: int) -> None:
    """Print the ratio of each run and their median."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "www" / "x.bin"
        source.parent.mkdir()
        block = os.urandom(8 << 20)
        with source.open("wb") as file:
            for _ in range(megabytes * 1_000_000 // len(block)):
                file.write(block)
        raw = make_torrent(source, piece_length=PIECE)
        metainfo = read_metainfo(raw)
        with (
            web_server(folder / "web1", source.parent, WEB[0]),
            web_server(folder / "web2", source.parent, WEB[1]),
        ):
            session = seeder(raw, source.parent)
            peer = Address(host=PEER, port=session.listen_port())
            urls = [f"http://{host}:8080/x.bin" for host in WEB]
            ratios = []
            for run in range(runs):
                where = folder / f"node{run}"
                seconds = asyncio.run(fetch(metainfo, where, urls, peer))
                shutil.rmtree(where)
                rate = metainfo.layout.total_size / seconds
                ratios.append(rate / (3 * RATE))
                print(f"run {run + 1}: {rate / 1e6:.1f} MB/s, {ratios[-1]:.3f} of the sum")
            session.pause()
    print(f"median {statistics.median(ratios):.3f}, least {min(ratios):.3f}, of {3 * RATE / 1e6:.0f} MB/s")


def main() -> None:
    """Go into a network namespace, then measure there."""
    parser = argparse.ArgumentParser(description="how much of two web seeds and a peer reaches a node")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=600)
    asked = parser.parse_args()
    if os.environ.get(INSIDE):
        measure(asked.runs, asked.megabytes)
        return
    done = subprocess.run(["unshare", "-n", sys.executable, *sys.argv], env=os.environ | {INSIDE: "1"}, check=False)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
