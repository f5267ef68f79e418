"""The real command, in a process and folders of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON value; fails when anything else stands there."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def smartnode(tmp_path: Path) -> Run:
    """Runs ``smartnode ARGUMENTS`` with an empty home."""

    def run(*arguments: str, **environment: str) -> Ran:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SMARTNODE_", "XDG_"))}
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "smartnode", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**kept, "HOME": str(home), "COLUMNS": "200", **environment},
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def data() -> Path:
    """The real catalogues and torrents."""
    return DATA


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration for a catalogue and a quota."""

    def write(*, catalogue: Path | str, quota: str, allow_unsigned: bool = True, more: str = "") -> Path:
        path = tmp_path / "smartnode.toml"
        path.write_text(
            f"""
[catalogue]
urls = ["{catalogue}"]
allow_unsigned = {str(allow_unsigned).lower()}
[storage]
path = "{tmp_path / "storage"}"
quota = "{quota}"
keep_free = "0 B"
[api]
listen = "127.0.0.1:18699"
{more}
"""
        )
        return path

    return write
