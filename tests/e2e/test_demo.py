"""The demo is the product's own proof: a network loses its origin and a stranger recovers every byte."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

KEYS = {
    "ok",
    "nodes",
    "items",
    "archive_bytes",
    "donated_bytes",
    "held_bytes",
    "partial_items",
    "copies_min",
    "copies_mean",
    "recovered_bytes",
    "seconds",
}


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with an empty home and its temporary files in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "smartnode", "demo", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder)},
    )


def judged(ran: subprocess.CompletedProcess[str], *, nodes: int) -> dict[str, Any]:
    """Check what every successful demo has shown."""
    assert ran.returncode == 0, ran.stderr[-4000:]
    said: dict[str, Any] = json.loads(ran.stdout)
    assert set(said) >= KEYS
    assert said["ok"] is True
    assert said["nodes"] == nodes
    assert said["copies_min"] >= 1
    assert said["partial_items"] >= 1
    assert said["recovered_bytes"] == said["archive_bytes"] > 0
    assert 1.5 <= said["donated_bytes"] / said["archive_bytes"] <= 2
    assert said["held_bytes"] <= said["donated_bytes"]
    return said


def test_a_stranger_recovers_every_byte(tmp_path: Path) -> None:
    """Five nodes, none with room for the largest item; nothing is left behind."""
    judged(run_demo(tmp_path), nodes=5)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """An interrupted demo ends its nodes and removes its files."""
    code = (  # a parent that ignores SIGINT (nohup, some CI) hands that down; a terminal does not
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.argv = ['smartnode', 'demo']; from smartnode.cli.app import main; main()"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if "nodes start" in line:
            break
    nodes = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert not [n for n in nodes if n.is_running() and n.status() != psutil.STATUS_ZOMBIE]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("run", range(1, 11))
def test_ten_times_in_a_row(tmp_path: Path, run: int) -> None:
    """No run of ten fails, each within 90 s."""
    said = judged(run_demo(tmp_path), nodes=5)
    assert said["seconds"] <= 90, f"run {run}"


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("nodes", [4, 8, 20])
def test_other_sizes_of_network(tmp_path: Path, nodes: int) -> None:
    """The smallest, a larger and the largest network recover the archive too."""
    judged(run_demo(tmp_path, "--nodes", str(nodes)), nodes=nodes)
