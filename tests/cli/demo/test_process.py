"""A node's process ends with the network, by its id, whatever happens to the demo."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from smartnode.cli.demo.process import NodeProcess, environment, stop_all

PATIENT = "import signal; open('up', 'w').close(); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w').close(); signal.pause()"
WAIT_S = 20.0


def sitting(name: str, folder: Path) -> NodeProcess:
    """Return a node whose program will open the pipe ``up`` once it is ready."""
    node = NodeProcess(name, folder / name)
    os.mkfifo(node.folder / "up")
    return node


def await_up(folder: Path) -> None:
    """Wait until the program in *folder* is ready."""
    (folder / "up").read_bytes()


def test_a_node_that_is_asked_ends_by_itself(tmp_path: Path) -> None:
    """SIGTERM suffices for a process that obeys; nobody is killed and nothing runs on."""
    nodes = [sitting(name, tmp_path) for name in ("a", "b")]
    for node in nodes:
        node.start(("-c", PATIENT))
    for node in nodes:
        await_up(node.folder)
        assert node.exit_code is None
    assert stop_all(nodes) == ()
    assert [node.exit_code for node in nodes] == [-signal.SIGTERM, -signal.SIGTERM]


def test_a_node_that_does_not_obey_is_killed_after_the_deadline(tmp_path: Path) -> None:
    """The deadline is one for all; who is still there is killed and named."""
    nodes = [sitting(name, tmp_path) for name in ("good", "bad")]
    nodes[0].start(("-c", PATIENT))
    nodes[1].start(("-c", STUBBORN))
    for node in nodes:
        await_up(node.folder)
    assert stop_all(nodes, deadline_s=0.5) == ("bad",)
    assert nodes[1].exit_code == -signal.SIGKILL


def test_stopping_what_never_ran_is_harmless(tmp_path: Path) -> None:
    """A network whose start failed half-way is stopped like any other."""
    node = NodeProcess("a", tmp_path / "a")
    assert stop_all([node]) == ()
    assert node.pid is None
    assert node.exit_code is None
    assert node.log_tail() == ""


def test_a_node_dies_with_a_demo_that_was_killed(tmp_path: Path) -> None:
    """A kill -9 of the process that started a node ends the node too, though nobody could ask it to stop."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom smartnode.cli.demo.process import NodeProcess\n"
        f"node = NodeProcess('a', Path({str(tmp_path)!r}) / 'a')\nos.mkfifo(node.folder / 'up')\n"
        f"node.start(('-c', {STUBBORN!r}))\n(node.folder / 'up').read_bytes()\n"
        "print(node.pid, flush=True)\nsys.stdin.read()\n"
    )
    root = Path(__file__).parent.parent.parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as demo:
        assert demo.stdout is not None
        watch = os.pidfd_open(int(demo.stdout.readline()))
        try:
            assert not select.select([watch], [], [], 0)[0]
            demo.kill()
            assert select.select([watch], [], [], WAIT_S)[0], "the node outlived the demo"
        finally:
            os.close(watch)


def test_the_log_tail_is_bounded(tmp_path: Path) -> None:
    """A long log gives its last lines only."""
    node = NodeProcess("a", tmp_path / "a")
    node.log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = node.log_tail().splitlines()
    assert len(lines) == 25
    assert lines[-1] == "line 99999"


def test_the_environment_is_the_demos_own(tmp_path: Path) -> None:
    """Settings, proxies and service sockets of the outside do not reach a node; the rest, HOME too, does."""
    outer = {
        "HOME": "/home/a",
        "SMARTNODE_STORAGE__QUOTA": "1 GB",
        "HTTP_PROXY": "http://proxy",
        "no_proxy": "*",
        "NOTIFY_SOCKET": "/run/x",
        "STATE_DIRECTORY": "/var/lib/x",
        "PYTHONPATH": "/opt/extra",
    }
    made = environment(outer, tmp_path)
    assert made["HOME"] == "/home/a"
    assert made["STATE_DIRECTORY"] == str(tmp_path / "state")
    assert made["CACHE_DIRECTORY"] == str(tmp_path / "cache")
    assert "/opt/extra" in made["PYTHONPATH"].split(os.pathsep)
    assert not {"SMARTNODE_STORAGE__QUOTA", "HTTP_PROXY", "no_proxy", "NOTIFY_SOCKET"} & made.keys()
