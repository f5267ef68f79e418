"""The laboratory itself: what its tests rely on holds."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.network.hosts import Hosts


def test_nothing_leaves_the_namespace() -> None:
    """There is loopback and no route anywhere else: no test can reach another host by mistake."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, pytest.raises(OSError, match="unreachable"):
        out.connect(("192.0.2.1", 9))


def test_the_tracker_lists_who_announces_and_refuses_what_it_was_not_told_of(tracker: Any) -> None:
    """Debian's opentracker runs: one peer announces, the scrape counts it."""
    one = tracker(["ab" * 20])
    query = f"info_hash={'%ab' * 20}&peer_id={'a' * 20}&port=5000&left=0&uploaded=0&downloaded=0"
    with httpx.Client(trust_env=False) as client:
        client.get(f"{one.http}?{query}")
        counted = client.get(f"{one.http.replace('announce', 'scrape')}?info_hash={'%ab' * 20}").content
        refused = client.get(f"{one.http}?{query.replace('%ab', '%cd')}").content
    assert b"8:completei1e" in counted
    assert b"failure reason" in refused


def test_the_web_server_answers_ranges_with_validators(nginx: Any, tmp_path: Path) -> None:
    """Debian's nginx serves a range of a file."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "f").write_bytes(bytes(range(100)))
    server = nginx(tmp_path / "www")
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{server.url}/f", headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert answer.content == bytes(range(10, 20))
    assert answer.headers["ETag"]


def test_a_host_behind_nat_reaches_out_and_is_not_reached() -> None:
    """The laboratory's NAT: connections go out under the router's address, none comes in."""
    hosts = Hosts()
    hosts.add("outside", "10.99.0.2/24")
    hosts.add("router", "10.99.0.1/24")
    hosts.add_behind("inside", "router", address="192.168.77.2/24", gateway="192.168.77.1/24")
    with hosts.at("outside"):
        listener = socket.create_server(("10.99.0.2", 7000))
    with hosts.at("inside"):
        caller = socket.create_connection(("10.99.0.2", 7000), timeout=5)
        hidden = socket.create_server(("192.168.77.2", 7000))
    heard, address = listener.accept()
    assert address[0] == "10.99.0.1"
    with hosts.at("outside"), pytest.raises(OSError, match=r"timed out|refused|unreachable"):
        socket.create_connection(("10.99.0.1", 7000), timeout=1)
    for each in (heard, caller, hidden, listener):
        each.close()
    hosts.close()
