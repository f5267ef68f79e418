"""The demo refuses what it cannot show, and says which step failed and in whose words."""

import json
from collections.abc import Callable

import pytest

from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.run import _step, demo_command
from smartnode.cli.demo.screen import summary_line
from smartnode.cli.demo.summary import DemoSummary
from smartnode.domain.pieces import Bytes
from smartnode.errors import ConfigError, EngineError, ExitCode


@pytest.mark.parametrize("nodes", [-1, 0, 3, 21, 1000])
def test_a_number_of_nodes_outside_the_contract_is_refused(nodes: int) -> None:
    """Fewer than 4 or more than 20 nodes is a ConfigError (exit 2) before anything is written or started."""
    with pytest.raises(ConfigError, match="from 4 to 20") as caught:
        demo_command(nodes=nodes, as_json=True)
    assert caught.value.exit_code == ExitCode.USAGE


def fail(error: Exception) -> Callable[[], None]:
    """Return a step that raises *error*."""

    def step() -> None:
        with _step("find the pieces"):
            raise error

    return step


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DemoError("node-3 ended", cure="see its log", log="a\nb"), "find the pieces: node-3 ended; see its log"),
        (EngineError("nothing listens", cure="free a port"), "find the pieces: engine: nothing listens; free a port"),
        (OSError(28, "No space left on device"), "find the pieces: .*No space left on device; .*TMPDIR"),
    ],
)
def test_every_failure_names_its_step_and_keeps_its_cure(error: Exception, said: str) -> None:
    """Whatever a room or the file system says becomes one DemoError, with the node's log if there is one."""
    with pytest.raises(DemoError, match=said) as caught:
        fail(error)()
    assert caught.value.exit_code == ExitCode.FAILED
    assert caught.value.log == getattr(error, "log", "")
    assert "\n" not in str(caught.value)


def test_a_bug_is_not_dressed_up() -> None:
    """What nobody foresaw goes through unchanged."""
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())()


def test_the_summary_has_the_keys_of_the_contract_in_order() -> None:
    """The JSON object holds the documented keys and the line says failure aloud."""
    summary = DemoSummary(
        ok=False,
        nodes=5,
        items=6,
        archive_bytes=Bytes(10),
        donated_bytes=Bytes(19),
        held_bytes=Bytes(18),
        partial_items=1,
        copies_min=1,
        copies_mean=1.5,
        recovered_bytes=Bytes(9),
        seconds=1.5,
    )
    assert list(json.loads(json.dumps(summary.as_json()))) == [
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
    ]
    assert summary_line(summary).startswith("FAILED: 9 B of 10 B")
