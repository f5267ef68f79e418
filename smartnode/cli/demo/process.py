"""A node is a real process of its own: it never outlives the demo, and it ends by its id, first asked, then killed.

A tiny launcher binds the node's life to ours (PR_SET_PDEATHSIG) before it becomes the node, so that even a killed demo
leaves nothing behind. The kernel watches the thread that started the node: start nodes from the main thread.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import smartnode

STOP_DEADLINE_S = 12.0
KILL_DEADLINE_S = 5.0
LOG_TAIL_LINES = 25
_LOG_TAIL_BYTES = 16 << 10
_LAUNCHER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_FOREIGN_PREFIXES = ("SMARTNODE_",)
_FOREIGN = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "notify_socket", "configuration_directory"})


class NodeProcess:
    """One ``smartnode run`` in *folder*: its state, cache, log and working directory are there."""

    def __init__(self, name: str, folder: Path) -> None:
        """Prepare the folder; nothing runs yet."""
        self.name = name
        self.folder = folder
        self.log = folder / "node.log"
        self._process: subprocess.Popen[bytes] | None = None
        for part in ("state", "cache"):
            (folder / part).mkdir(parents=True)

    @property
    def pid(self) -> int | None:
        """The id of the process, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the process ended (negative: by that signal), None while it runs or before the start."""
        return None if self._process is None else self._process.poll()

    def start(self, arguments: Sequence[str] = ("-m", "smartnode", "run", "--config", "node.toml")) -> None:
        """Start Python with *arguments*; the node's stderr and stdout go to its log."""
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                command,
                cwd=self.folder,
                env=environment(os.environ, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a node that has ended or never ran is left alone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, *, deadline_s: float = STOP_DEADLINE_S) -> bool:
        """Wait for a node that was asked to stop, kill it after the deadline; True when it went by itself."""
        if self._process is None:
            return True
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(KILL_DEADLINE_S)
            return False
        return True

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def stop_all(nodes: Sequence[NodeProcess], *, deadline_s: float = STOP_DEADLINE_S) -> tuple[str, ...]:
    """End *nodes* in the reverse order of their start within one deadline; returns the names of those that were
    killed.
    """
    until = time.monotonic() + deadline_s
    for node in reversed(nodes):
        node.ask_to_stop()
    return tuple(n.name for n in reversed(nodes) if not n.end(deadline_s=max(0.0, until - time.monotonic())))


def environment(outer: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the node's environment: *outer* without settings, proxies and service sockets that are not the demo's;
    a package that runs from a checkout is found there by the node too.
    """
    kept = {
        name: value
        for name, value in outer.items()
        if name.lower() not in _FOREIGN and not name.upper().startswith(_FOREIGN_PREFIXES)
    }
    home = Path(smartnode.__file__).resolve().parent.parent
    if home.name not in _INSTALLED:
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), outer.get("PYTHONPATH"))))
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "STATE_DIRECTORY": str(folder / "state"),
        "CACHE_DIRECTORY": str(folder / "cache"),
    }
