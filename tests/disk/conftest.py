"""A node's disk below one temporary folder, and file systems that exist for one script only."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import coverage
import pytest

from smartnode.disk.room import Disk
from smartnode.domain.pieces import Bytes

MakeDisk = Callable[..., Disk]


@pytest.fixture
def make_disk(tmp_path: Path) -> MakeDisk:
    """Make a Disk with root, state and cache below tmp_path; each may be named."""

    def make(
        *, root: str = "root", state: str = "state", cache: str = "cache", quota: int = 10**9, keep_free: int = 0
    ) -> Disk:
        return Disk(
            root=tmp_path / root,
            state=tmp_path / state,
            cache=tmp_path / cache,
            quota=Bytes(quota),
            keep_free=Bytes(keep_free),
        )

    return make


def _measured() -> str:
    """Lines that count the script's coverage where this process counts its own."""
    current = coverage.Coverage.current()
    if current is None:
        return ""
    return textwrap.dedent(f"""
        import atexit, coverage
        measured = coverage.Coverage(
            data_file={current.config.data_file!r}, data_suffix=True, branch=True, source={current.config.source!r}
        )
        measured.start()
        atexit.register(measured.save)
        atexit.register(measured.stop)
    """)


@pytest.fixture
def on_mount(tmp_path: Path) -> Callable[[str, str], str]:
    """Run a script with ``folder``, a file system of the given type that no other process sees; returns stdout."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    alone = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]

    def run(filesystem: str, script: str) -> str:
        mount = f"mount -t {filesystem} none {folder}"
        if subprocess.run([*alone, "sh", "-c", mount], check=False, capture_output=True).returncode != 0:
            pytest.skip(f"this host does not let us mount: {mount}")
        head = f"""
            from pathlib import Path
            from smartnode.disk.room import Disk
            from smartnode.errors import DiskError
            folder = Path({str(folder)!r})
            beside = Path({str(tmp_path)!r})
        """
        code = _measured() + textwrap.dedent(head) + textwrap.dedent(script)
        done = subprocess.run(
            [*alone, "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, code],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
