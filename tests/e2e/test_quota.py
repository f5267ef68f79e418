"""One whole node and one torrent larger than its quota: what is promised to the host holds at every moment."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

MIB = 1 << 20
GIB = 1 << 30


class Sampler:
    """Measures allocated blocks ten times a second until it is stopped."""

    def __init__(self, measure: Callable[[], int]) -> None:
        """Sample *measure* in a thread."""
        self.samples: list[int] = []
        self._measure = measure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.samples.append(self._measure())

    def stop(self) -> list[int]:
        """Return the samples."""
        self._stop.set()
        self._thread.join(10)
        return self.samples


@pytest.mark.parametrize(
    ("size", "quota", "piece_length"),
    [
        pytest.param(256 * MIB, 80 * MIB, MIB, id="256 MiB in 80 MiB"),
        pytest.param(
            10 * GIB, 3 * GIB, 4 * MIB, id="10 GiB in 3 GiB", marks=[pytest.mark.soak, pytest.mark.timeout(900)]
        ),
    ],
)
def test_the_quota_holds_and_blocks_return(
    site: Any, node: Any, wait: Any, fetch: Any, tmp_path: Path, size: int, quota: int, piece_length: int
) -> None:
    """Blocks never exceed the quota at 10 samples a second; after keep_free is raised du falls by what was evicted
    within 5 s, and every piece that is left is served without a hash failure.
    """
    site.publish({"big.bin": size}, piece_length=piece_length)
    one = node(31)
    one.configure(catalogue=site.catalogue, quota=quota)
    sampler = Sampler(one.allocated)
    one.start()

    def full() -> bool:
        status = one.status()
        return status["state"] == "steady" and status["held_bytes"] > 0.8 * quota

    wait("the quota to be filled", full, deadline_s=60 + size / (20 * MIB))
    before_du, before = one.allocated(), one.held("big.bin")
    free = psutil.disk_usage(str(tmp_path)).free
    one.configure(catalogue=site.catalogue, quota=quota, keep_free=free + quota // 3)
    one.hang_up()
    wait("the eviction", lambda: len(one.held("big.bin")) < len(before), deadline_s=30)
    evicted = (len(before) - len(one.held("big.bin"))) * piece_length
    wait("du to fall", lambda: one.allocated() <= before_du - evicted + 2 * MIB, deadline_s=5)
    one.configure(catalogue=site.catalogue, quota=quota, keep_free=0, interval="1 h")
    one.hang_up()
    samples = sampler.stop()
    assert len(samples) > 10
    assert max(samples) <= quota, f"{max(samples)} allocated of {quota}"

    left = one.held("big.bin")
    assert left
    assert left < before
    got = fetch(
        (one.host, one.status()["listen_port"]), site.torrents["big.bin"], left, folder=tmp_path, deadline_s=120
    )
    assert got.hash_failures == 0
    assert got.pieces == left
    decisions = one.ask("/api/v1/decisions")["decisions"]
    assert any(d["action"] == "evict" and d["rule"] == "keep_free" and d["outcome"] == "done" for d in decisions)
