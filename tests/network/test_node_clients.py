"""A node among clients that we did not write: it takes from all sources at once, and they take from it and finish."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import libtorrent as lt
import pytest

from tests.network.conftest import need, run
from tests.network.foreign import Aria2, QBittorrent, Transmission
from tests.nodes import MIB, RunningNode, Site, wait_for
from tests.plain import plain_session

RATE = 20 * MIB
PROGRAMS = {"transmission": "transmission-daemon", "qbittorrent": "qbittorrent-nox", "aria2": "aria2c"}


def lan() -> None:
    """Give the namespace addresses that foreign clients accept as peers; 1,500 bytes a packet, as on a real one."""
    run(need("ip"), "link", "set", "lo", "mtu", "1500")
    for number in range(1, 31):
        run(need("ip"), "address", "add", f"10.99.0.{number}/24", "dev", "lo")


class Seeder:
    """A plain libtorrent client that has everything."""

    def __init__(self, site: Site, name: str, *, host: str, rate: int = 0) -> None:
        """Seed item *name* of *site* at *host*, at most *rate* bytes a second."""
        self._session = plain_session(host, port=6881, ssrf_mitigation=False, upload_rate_limit=rate)
        everyone = lt.ip_filter()
        everyone.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        self._session.set_peer_class_filter(everyone)
        params = lt.load_torrent_buffer(site.torrents[name].raw)
        params.save_path = str(site.folder)
        params.url_seeds = []
        params.flags = (params.flags | lt.torrent_flags.seed_mode) & ~(
            lt.torrent_flags.auto_managed | lt.torrent_flags.paused
        )
        self.handle = self._session.add_torrent(params)

    def uploaded(self) -> int:
        """Payload bytes that it gave."""
        return int(self.handle.status().total_payload_upload)

    def stop(self) -> None:
        """Leave."""
        self._session.pause()
        self._session.remove_torrent(self.handle)
        session, self._session = self._session, None
        del session


@pytest.fixture
def world(site: Site, tracker: Callable[..., Any]) -> Callable[..., Any]:
    """Publishes one item with a tracker and starts the tracker; ``world(size, mirrors=[...])``."""
    lan()

    def make(size: int, *, mirrors: list[str] | None = None, hosts: tuple[str, ...] = ("http",)) -> Any:
        addresses = [f"{kind}://10.99.0.1:6969/announce" for kind in hosts]
        named = {"f.bin": [f"{m}/f.bin" for m in mirrors]} if mirrors is not None else None
        site.publish({"f.bin": size}, piece_length=MIB, trackers=addresses, mirrors=named)
        return tracker([site.torrents["f.bin"].info_hash], host="10.99.0.1")

    return make


def node_at(folder: Path, number: int, site: Site, *, quota: int, **more: Any) -> RunningNode:
    """A configured node at 10.99.0.<number>."""
    node = RunningNode(
        folder / f"node{number}", host=f"10.99.0.{number}", api_port=18_700, api_host=f"127.0.0.{number}"
    )
    node.configure(catalogue=site.catalogue, quota=quota, pace=1.0, interval="5 s", **more)
    return node


def sent_by(server: Any) -> int:
    """Bytes of the file that an nginx sent, by its log."""
    return sum(int(line.split()[9]) for line in server.requests if "f.bin" in line and line.split()[8] == "206")


def test_a_node_takes_from_all_sources_at_once_and_then_replaces_them(
    site: Site, world: Any, nginx: Any, processes: Any, tmp_path: Path, started: Any
) -> None:
    """Two web seeds and a peer, each limited to 20 MB/s, all give a good part; when all three are gone, transmission
    and qBittorrent fetch everything from the node, and no hash fails. Benchmarks measure the speed.
    """
    world(256 * MIB, mirrors=["http://127.0.101.1:8080", "http://127.0.102.1:8080"])
    servers = [nginx(site.folder, host=f"127.0.10{n}.1", rate=RATE) for n in (1, 2)]
    seeder = Seeder(site, "f.bin", host="10.99.0.2", rate=RATE)
    node = started(node_at(tmp_path, 3, site, quota=512 * MIB))
    wait_for("the whole item", lambda: len(node.held("f.bin")) == 256, deadline_s=60)
    given = [*(sent_by(server) for server in servers), seeder.uploaded()]
    print(f"bytes from web seed, web seed, peer: {given}")  # noqa: T201 -- kept in the report
    assert min(given) >= 12 * MIB, given
    seeder.stop()
    for server in servers:
        server.stop()
    clients = [
        Transmission(processes, tmp_path / "transmission", host="10.99.0.4", utp=False),
        QBittorrent(processes, tmp_path / "qbittorrent", host="10.99.0.5"),
    ]
    bare = site.folder / "bare.torrent"
    bare.write_bytes(without_web_seeds(site.torrents["f.bin"].raw))
    for client in clients:
        client.add(bare)
    for client in clients:
        wait_for(f"{client.name} to finish", client.done, deadline_s=120)
        assert client.failures() == 0
        assert client.file("f.bin").read_bytes() == site.files["f.bin"].read_bytes()


def without_web_seeds(raw: bytes) -> bytes:
    """The .torrent file without its web seeds: what is fetched with it comes from peers."""
    entry: Any = lt.bdecode(raw)
    entry.pop(b"url-list", None)
    return bytes(lt.bencode(entry))


@pytest.mark.parametrize("name", [pytest.param("transmission", marks=pytest.mark.soak), "qbittorrent", "aria2"])
def test_partial_holdings_help_and_never_disturb(
    site: Site, world: Any, processes: Any, tmp_path: Path, started: Any, name: str
) -> None:
    """Two nodes hold the item in part; a foreign client without any seed takes what they have from both and no hash
    fails; with a seed for the rest it finishes (BEP 21: partial seeds announce as such).
    """
    need(PROGRAMS[name])
    running = world(32 * MIB)
    nodes = [started(node_at(tmp_path, n, site, quota=22 * MIB)) for n in (3, 4)]
    for node in nodes:
        wait_for("a full quota", lambda n=node: settled(n))
    held = [node.held("f.bin") for node in nodes]
    assert all(0 < len(pieces) < 32 for pieces in held)
    site.origin.stop()
    client: Any = {
        "transmission": lambda: Transmission(processes, tmp_path / name, host="10.99.0.5", utp=False),
        "qbittorrent": lambda: QBittorrent(processes, tmp_path / name, host="10.99.0.5"),
        "aria2": lambda: Aria2(processes, tmp_path / name, host="10.99.0.5"),
    }[name]()
    bare = site.folder / "bare.torrent"
    bare.write_bytes(without_web_seeds(site.torrents["f.bin"].raw))
    client.add(bare)
    uploads = lambda: [sum(r["uploaded_bytes"] for r in n.ask("/api/v1/items")["items"]) for n in nodes]  # noqa: E731
    wait_for("both to give", lambda: min(uploads()) > 0 and sum(uploads()) >= 8 * MIB, deadline_s=60)
    seeder = Seeder(site, "f.bin", host="10.99.0.2")
    wait_for(f"{name} to finish", client.done, deadline_s=120)
    assert client.failures() == 0
    assert client.file("f.bin").read_bytes() == site.files["f.bin"].read_bytes()
    assert [node.held("f.bin") for node in nodes] == held
    counts = httpx.get(running.http.replace("announce", "scrape"), params=None, trust_env=False, timeout=5).status_code
    assert counts == 200
    seeder.stop()


def settled(node: RunningNode) -> bool:
    """The node holds something and has nothing under way."""
    status = node.status()
    return bool(status and status["cycle"] > 2 and status["held_bytes"] and not status["in_flight_bytes"])


@pytest.mark.parametrize("way", ["tcp4", "tcp6", "utp", "encrypted"])
def test_each_way_of_connecting_works(
    site: Site, world: Any, processes: Any, tmp_path: Path, started: Any, way: str
) -> None:
    """IPv4 and IPv6, TCP and uTP, plain and encrypted: a foreign client that allows only one of them is served. The
    node is bound to a network device, which has addresses of both families.
    """
    world(8 * MIB)
    listen = ("[::1]:6881", "10.99.0.3:6881")
    node = started(node_at(tmp_path, 3, site, quota=64 * MIB, listen=listen, outgoing="lo"))
    wait_for("the whole item", lambda: len(node.held("f.bin")) == 8)
    if way == "encrypted":
        client = Aria2(processes, tmp_path / "aria2", host="10.99.0.5", crypto=True)
        bare = site.folder / "bare.torrent"
        bare.write_bytes(without_web_seeds(site.torrents["f.bin"].raw))
        client.add(bare)
        wait_for("the client to finish", client.done, deadline_s=60)
        assert client.failures() == 0
        return
    plain = Plain(site, "f.bin", tmp_path / "plain", way=way)
    plain.connect(("::1" if way == "tcp6" else "10.99.0.3", 6881))
    wait_for("the client to finish", plain.done, deadline_s=60)
    assert plain.failures == 0
    plain.stop()


class Plain:
    """A plain libtorrent client that allows one way only."""

    def __init__(self, site: Site, name: str, folder: Path, *, way: str) -> None:
        """Fetch item *name* by *way*: tcp4, tcp6 or utp."""
        host = "[::1]" if way == "tcp6" else "10.99.0.6"
        self._session = plain_session(
            host,
            port=6890,
            outgoing_interfaces="" if way == "tcp6" else host,
            enable_outgoing_tcp=way != "utp",
            enable_incoming_tcp=way != "utp",
            enable_outgoing_utp=way == "utp",
            enable_incoming_utp=way == "utp",
            alert_mask=lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
        )
        params = lt.load_torrent_buffer(site.torrents[name].raw)
        params.save_path = str(folder)
        params.url_seeds = []
        params.trackers = []
        params.flags = params.flags & ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        self.handle = self._session.add_torrent(params)
        self.failures = 0

    def connect(self, peer: tuple[str, int]) -> None:
        """Dial *peer*."""
        self.handle.connect_peer(peer)

    def done(self) -> bool:
        """It has everything."""
        self.failures += sum(isinstance(a, lt.hash_failed_alert) for a in self._session.pop_alerts())
        return bool(self.handle.status().is_finished)

    def stop(self) -> None:
        """Leave."""
        self._session.remove_torrent(self.handle)
        threading.Thread(target=self.__dict__.clear).run()
