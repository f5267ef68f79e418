"""The laboratory itself: what its tests rely on holds."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest


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
