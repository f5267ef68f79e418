"""With a proxy nothing goes around it: no connection, no name, for the catalogue, the .torrent files and inspect."""

import asyncio
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smartnode.catalogue.catalogue import Catalogue
from smartnode.catalogue.inspect import inspect
from smartnode.domain.network import Proxy, ProxyKind, Way
from smartnode.errors import CatalogueError, MetainfoError
from smartnode.metainfo.read import read_metainfo

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORIGIN, PROXY, LEAVES_FROM = "127.0.101.1", "127.0.102.1", "127.0.102.9"
NAME = "catalogue.only-the-proxy-knows.org"
DATA = Path(__file__).parent.parent / "data"
PASSWORD = "correct-horse"
PACKAGES = {"microsocks": "microsocks", "tinyproxy": "tinyproxy-bin"}


@pytest.fixture
def asked_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that this process asks its resolver for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def noting(host: Any, *args: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    return asked


@pytest.fixture
def start_proxy(tmp_path: Path, processes: Any, wait: Any) -> Callable[[ProxyKind], tuple[Proxy, Any]]:
    """Starts Debian's microsocks or tinyproxy with a hosts file of its own; it leaves from an address of its own."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ORIGIN} {NAME}\n")

    def start(kind: ProxyKind) -> tuple[Proxy, Any]:
        if kind is ProxyKind.SOCKS5:
            port = 1080
            command = f"microsocks -i {PROXY} -p {port} -b {LEAVES_FROM} -u me -P {PASSWORD}"
        else:
            port = 8888
            config = tmp_path / "tinyproxy.conf"
            config.write_text(f"Port {port}\nListen {PROXY}\nBind {LEAVES_FROM}\nBasicAuth me {PASSWORD}\n")
            command = f"tinyproxy -d -c {config}"
        program = command.split(maxsplit=1)[0]
        if shutil.which(program) is None:
            pytest.skip(f"NOT RUN: {program} is missing; apt install {PACKAGES[program]}")
        script = f"mount --bind {hosts} /etc/hosts && exec {command}"
        process = processes.start("unshare", "--mount", "sh", "-c", script)
        wait("the proxy", lambda: listens(PROXY, port), deadline_s=20, pause_s=0.02)
        return Proxy(kind=kind, host=PROXY, port=port, username="me", password=PASSWORD), process

    return start


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as knock:
        return knock.connect_ex((host, port)) == 0


@pytest.fixture
def site(tmp_path: Path, nginx: Any) -> Any:
    """A web server that knows itself by a name that this host cannot resolve: a catalogue of one real item."""
    www = tmp_path / "www"
    www.mkdir()
    torrent = min((DATA / "torrents").iterdir())
    metainfo = read_metainfo(torrent.read_bytes())
    (www / "t.torrent").write_bytes(torrent.read_bytes())
    asset = {"href": f"http://{NAME}:8080/t.torrent"}
    row = {"id": "one", "torrent:info_hash": metainfo.info_hash_v1, "torrent:size": int(metainfo.layout.total_size)}
    pq.write_table(pa.Table.from_pylist([row | {"assets": {"torrent": asset}}]), www / "c.parquet")
    return nginx(www, host=ORIGIN)


def visitors(site: Any, wait: Any, count: int) -> set[str]:
    """Return from which addresses the *count* requests came."""
    wait("the access log", lambda: len(site.requests) >= count, deadline_s=20, pause_s=0.02)
    assert len(site.requests) == count
    return {line.split(" ", 1)[0] for line in site.requests}


@pytest.mark.parametrize("kind", ProxyKind)
async def test_everything_goes_through_the_proxy(
    tmp_path: Path, site: Any, start_proxy: Any, wait: Any, asked_here: list[str], kind: ProxyKind
) -> None:
    """Catalogue, conditional poll, .torrent and inspect arrive from the proxy alone, by a name that only it can
    resolve; nothing is asked of this host's resolver.
    """
    proxy, _ = start_proxy(kind)
    url = f"http://{NAME}:8080/c.parquet"
    state, cache = tmp_path / "state", tmp_path / "cache"
    options: dict[str, Any] = {"state": state, "cache": cache, "allow_unsigned": True, "allow_private": False}
    catalogue = Catalogue(urls=(url,), way=Way(proxy=proxy), **options)
    snapshot = await catalogue.refresh(now=NOW)
    assert await catalogue.refresh(now=NOW) is snapshot
    assert (await catalogue.metainfo(snapshot.items[0])).info_hash == snapshot.items[0].torrent.info_hash
    assert (await inspect(url, now=NOW, way=Way(proxy=proxy))).good == 1
    assert visitors(site, wait, 4) == {LEAVES_FROM}
    assert [line.split('"')[2].split()[0] for line in site.requests] == ["200", "304", "200", "200"]
    assert [name for name in asked_here if name not in {PROXY, f"b'{PROXY}'"}] == []
    with pytest.raises(CatalogueError, match="cannot be fetched"):
        await inspect(url, now=NOW)
    assert len(site.requests) == 4


@pytest.mark.parametrize("kind", ProxyKind)
async def test_without_its_proxy_the_node_stays_silent(
    tmp_path: Path, site: Any, start_proxy: Any, processes: Any, kind: ProxyKind
) -> None:
    """When the proxy is gone or refuses, nothing goes the direct way: degraded says why, and no password is shown."""
    proxy, process = start_proxy(kind)
    url = f"{site.url}/c.parquet"
    options: dict[str, Any] = {"allow_unsigned": True, "allow_private": True, "cache": tmp_path / "cache"}
    wrong = Proxy(kind=kind, host=proxy.host, port=proxy.port, username="me", password="wrong-horse")
    refused = Catalogue(urls=(url,), way=Way(proxy=wrong), state=tmp_path / "a", **options)
    with pytest.raises(CatalogueError, match="cannot be fetched") as caught:
        await refused.refresh(now=NOW)
    assert "horse" not in str(caught.value)
    catalogue = Catalogue(urls=(url,), way=Way(proxy=proxy), state=tmp_path / "b", **options)
    snapshot = await catalogue.refresh(now=NOW)
    await asyncio.to_thread(processes.end, process)
    before = len(site.requests)
    assert await catalogue.refresh(now=NOW) is snapshot
    (line,) = catalogue.degraded()
    assert "cannot be fetched" in line
    with pytest.raises(MetainfoError, match="cannot be fetched"):
        await catalogue.metainfo(snapshot.items[0])
    assert len(site.requests) == before
    assert {request.split(" ", 1)[0] for request in site.requests} == {LEAVES_FROM}
