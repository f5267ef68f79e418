"""The daemon stays light and modest: what only a child or a publisher needs is not loaded into it."""

import subprocess
import sys

import psutil

from smartnode.daemon.modesty import NICENESS


def test_the_daemon_does_not_load_duckdb() -> None:
    """DuckDB lives in the sandboxed child only: tens of megabytes less on small hosts, and no parser of strangers'
    files.
    """
    code = "import sys, smartnode.daemon.service; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_node_yields_to_the_host() -> None:
    """The node's process runs at a lower CPU priority and last in line for the disk."""
    code = (
        "import psutil; from smartnode.daemon.modesty import be_modest; be_modest();"
        "me = psutil.Process(); print(me.nice(), *me.ionice())"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert int(said[0]) >= NICENESS
    assert (int(said[-2]), int(said[-1])) == (int(psutil.IOPRIO_CLASS_BE), 7)
