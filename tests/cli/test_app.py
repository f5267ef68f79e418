"""The command line: documented exit codes, one line on stderr that names the cure, no traceback."""

from typing import Any

import pytest

from smartnode.cli.later import NOT_YET


def test_version(smartnode: Any) -> None:
    """--version prints name and version and ends with 0."""
    ran = smartnode("--version")
    assert ran.code == 0
    assert ran.out.startswith("smartnode ")


@pytest.mark.parametrize("command", sorted(NOT_YET))
def test_commands_of_later_versions_are_refused(smartnode: Any, command: str) -> None:
    """A command that does not work yet is never silently accepted."""
    ran = smartnode(command)
    assert ran.code == 2
    assert f"'smartnode {command}' is not supported yet" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "near"), [(["plam"], "plan"), (["statsu"], "status"), (["catalogue", "inspekt"], "inspect")]
)
def test_unknown_commands_name_the_nearest(smartnode: Any, arguments: list[str], near: str) -> None:
    """A slip of the finger gets the command that was meant."""
    ran = smartnode(*arguments)
    assert ran.code == 2
    assert f"did you mean '{near}'?" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["plan", "--nonsense"], ["why"], ["demo", "--nodes", "many"], ["demo", "--nodes", "3"]]
)
def test_usage_errors_end_with_2(smartnode: Any, arguments: list[str]) -> None:
    """Wrong options and arguments are one line and exit 2."""
    ran = smartnode(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("smartnode: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["status"], ["list"], ["why", "abcd"]])
def test_readers_without_a_node_end_with_4(smartnode: Any, config: Any, data: Any, arguments: list[str]) -> None:
    """No running node is exit 4 and names how to start one."""
    path = config(catalogue=data / "catalogue-rustac.parquet", quota="5 GB")
    ran = smartnode(*arguments, "--config", str(path))
    assert ran.code == 4
    assert "smartnode run" in ran.err
    assert ran.err.count("\n") == 1


def test_run_without_a_quota_names_the_key(smartnode: Any) -> None:
    """A node that was given nothing takes nothing."""
    ran = smartnode("run", SMARTNODE_CATALOGUE__URLS='["/nowhere.parquet"]')
    assert ran.code == 2
    assert "storage.quota" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "plan"])
def test_unsigned_catalogues_need_the_volunteers_word(smartnode: Any, config: Any, data: Any, command: str) -> None:
    """Without allow_unsigned nothing is used, exit 3, and the key is named."""
    path = config(catalogue=data / "catalogue-rustac.parquet", quota="5 GB", allow_unsigned=False)
    ran = smartnode(command, "--config", str(path))
    assert ran.code == 3
    assert "catalogue.allow_unsigned = true" in ran.err
