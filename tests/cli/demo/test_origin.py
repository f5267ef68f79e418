"""The origin serves ranges while it lives and refuses once it is gone."""

from pathlib import Path

import httpx
import pytest

from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.origin import Origin

BODY = bytes(range(256)) * 4096


def test_ranges_are_served_counted_and_then_refused(tmp_path: Path) -> None:
    """A range comes back as 206 with the right bytes and is counted; after stop the port refuses connections."""
    (tmp_path / "a.bin").write_bytes(BODY)
    origin = Origin(tmp_path, host="127.0.100.1")
    origin.start()
    try:
        with httpx.Client(trust_env=False) as client:
            part = client.get(f"{origin.url}/a.bin", headers={"Range": "bytes=1000-1999"})
            whole = client.get(f"{origin.url}/a.bin")
            absent = client.get(f"{origin.url}/b.bin")
        assert (part.status_code, part.content) == (206, BODY[1000:2000])
        assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(BODY)}"
        assert whole.content == BODY
        assert absent.status_code == 404
        assert origin.served_bytes == 1000 + len(BODY) + len(absent.content)
        assert not origin.refuses()
    finally:
        origin.stop()
    assert origin.refuses()
    origin.stop()


def test_open_connections_end_with_the_origin(tmp_path: Path) -> None:
    """A client that keeps its connection gets nothing more from an origin that stopped."""
    (tmp_path / "a.bin").write_bytes(BODY)
    origin = Origin(tmp_path, host="127.0.100.1")
    origin.start()
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{origin.url}/a.bin").status_code == 200
        origin.stop()
        with pytest.raises(httpx.TransportError):
            client.get(f"{origin.url}/a.bin")


def test_a_host_that_is_not_ours_is_a_demo_error(tmp_path: Path) -> None:
    """The refusal says what the demo needs."""
    with pytest.raises(DemoError, match="loopback"):
        Origin(tmp_path, host="203.0.113.1")
