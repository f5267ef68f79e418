"""A whole node behind a proxy: catalogue, .torrent files, web seeds, trackers and peers are reached through it only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.network.conftest import need, run
from tests.network.test_node_clients import Seeder
from tests.nodes import MIB, RunningNode, Site, wait_for

PROXY, PORT = "127.0.34.1", 1080
WEB, TRACKER, PEER, NODE = "127.0.35.1", "127.0.36.1", "127.0.37.1", "127.0.33.1"

WATCH = f"""
table ip watch {{
    chain out {{ type filter hook output priority filter;
        ip daddr {{ {WEB}, {TRACKER}, {PEER} }} ip saddr != {{ {PROXY}, {WEB}, {TRACKER}, {PEER} }} counter
    }}
    chain beyond {{ type filter hook output priority filter;
        ip daddr != 127.0.0.0/8 counter
    }}
}}
"""


def past_the_proxy() -> list[int]:
    """Packets to web server, tracker and peer that the proxy did not send; packets that leave loopback."""
    rules = run(need("nft"), "list", "table", "ip", "watch").splitlines()
    return [int(line.split("packets ")[1].split()[0]) for line in rules if "packets " in line]


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.timeout(180)
def test_nothing_goes_around_the_proxy(
    tmp_path: Path,
    nginx: Callable[..., Any],
    tracker: Callable[..., Any],
    processes: Any,
    started: Callable[..., RunningNode],
    kind: str,
) -> None:
    """One item comes from a web seed, one from a peer that an HTTP tracker names, both through the proxy; when the
    proxy dies nothing takes another way, the node says so and lets nothing go.
    """
    run(need("nft"), "-f", "-", text=WATCH)
    proxy = start_proxy(kind, processes, tmp_path)
    folder = tmp_path / "www"
    folder.mkdir()
    web = nginx(folder, host=WEB)
    site = Site(folder=folder, origin=web)
    announce = f"http://{TRACKER}:6969/announce"
    site.publish(
        {"web.bin": 8 * MIB, "peer.bin": 8 * MIB}, piece_length=MIB, mirrors={"peer.bin": []}, trackers=[announce]
    )
    tracker([m.info_hash for m in site.torrents.values()], host=TRACKER)
    seeder = Seeder(site, "peer.bin", host=PEER)
    node = RunningNode(tmp_path / "node", host=NODE, api_port=18_733)
    node.configure(
        catalogue=site.catalogue,
        quota=64 * MIB,
        interval="5 s",
        refresh="5 s",
        pace=1.0,
        outgoing="",
        network=f'proxy = "{kind}://{PROXY}:{PORT}"',
    )
    started(node)
    wait_for("the item from the web seed", lambda: len(node.held("web.bin")) == 8)
    wait_for("the item from the peer", lambda: len(node.held("peer.bin")) == 8, deadline_s=90)
    assert past_the_proxy() == [0, 0]
    assert {line.split()[0] for line in web.requests} == {PROXY}

    processes.end(proxy)
    wait_for("the node to say so", lambda: "catalogue: " in str(node.status()["degraded"]), deadline_s=60)
    cycle = node.status()["cycle"]
    wait_for("two more cycles", lambda: node.status()["cycle"] >= cycle + 2)
    assert past_the_proxy() == [0, 0]
    assert len(node.held("web.bin")) == len(node.held("peer.bin")) == 8
    seeder.stop()


def start_proxy(kind: str, processes: Any, folder: Path) -> Any:
    """Debian's microsocks or tinyproxy at PROXY:PORT, whose connections come from there too."""
    if kind == "socks5":
        proxy = processes.start(need("microsocks"), "-i", PROXY, "-p", str(PORT), "-b", PROXY)
    else:
        config = folder / "tinyproxy.conf"
        config.write_text(f"Port {PORT}\nListen {PROXY}\nBind {PROXY}\nTimeout 60\nMaxClients 64\n")
        proxy = processes.start(need("tinyproxy"), "-d", "-c", str(config))
    wait_for("the proxy", lambda: f"{PROXY}:{PORT}" in run(need("ss"), "-lnt"), deadline_s=20)
    return proxy
