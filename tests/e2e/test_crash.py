"""kill -9 at any moment costs at most what was not saved: no wrong byte is served, nothing held is fetched again."""

import random
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

MIB = 1 << 20
SIZE, QUOTA, PIECE = 192 * MIB, 96 * MIB, 256 << 10
UNSAVED = 30 * MIB  # what one save interval of a second can leave behind here, at loopback speed


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.soak] if n > 2 else []) for n in range(1, 11)])
@pytest.mark.parametrize("phase", ["fetching", "evicting"])
def test_a_killed_node_comes_back_whole(
    site: Any, node: Any, wait: Any, fetch: Any, tmp_path: Path, seed: int, phase: str
) -> None:
    """Killed at a seeded moment of fetching or evicting, the node restarts, serves every piece that it says it has
    without a hash failure, and says that it has what it had saved.
    """
    moment = random.Random(seed)
    site.publish({"big.bin": SIZE}, piece_length=PIECE, seed=seed)
    one = node(32)
    one.configure(catalogue=site.catalogue, quota=QUOTA, pace=0.2)
    one.start()
    if phase == "fetching":
        target = moment.uniform(0.05, 0.8) * QUOTA
        wait("some pieces", lambda: one.status()["held_bytes"] >= target)
    else:
        wait(
            "the quota to be filled",
            lambda: one.status()["state"] == "steady" and one.status()["held_bytes"] > 0.8 * QUOTA,
        )
        free = psutil.disk_usage(str(tmp_path)).free
        one.configure(catalogue=site.catalogue, quota=QUOTA, keep_free=free + QUOTA // 2, interval="1 h")
        one.hang_up()
        threading.Event().wait(moment.uniform(0.0, 0.4))
    before = one.held("big.bin")
    one.kill()

    one.configure(catalogue=site.catalogue, quota=QUOTA, interval="1 h")
    one.start()
    after = wait("the node to hold something", lambda: one.held("big.bin"), deadline_s=30)
    if phase == "fetching":
        assert len(before - after) * PIECE <= UNSAVED
    got = fetch((one.host, one.status()["listen_port"]), site.torrents["big.bin"], after, folder=tmp_path)
    assert got.hash_failures == 0
    assert got.pieces == after
    assert one.allocated() <= QUOTA
