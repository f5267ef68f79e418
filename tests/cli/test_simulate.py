"""``simulate`` prints one object, saves plots, and refuses what it cannot run in one line."""

from pathlib import Path
from typing import Any

import pytest

SMALL = (
    "--nodes",
    "8",
    "--hours",
    "6",
    "--set",
    "archive=400000000000",
    "--set",
    "datasets=12",
    "--set",
    "segment=2000000000",
)


def test_json_and_plots(smartnode: Any, tmp_path: Path) -> None:
    """The documented keys on stdout and nothing else; three PNG files."""
    ran = smartnode("simulate", *SMALL, "--seed", "3", "--json", "--plot", str(tmp_path / "plots"))
    assert ran.code == 0, ran.err
    assert set(ran.json) == {
        "nodes",
        "capacity_ratio",
        "hours",
        "seed",
        "rule",
        "loss_ratio",
        "copies_min",
        "copies_p1",
        "copies_mean",
        "uncovered_fraction",
        "last_copies_destroyed",
        "traffic_overhead",
    }
    assert (ran.json["nodes"], ran.json["seed"], ran.json["rule"]) == (8, 3, "smartnode")
    assert sorted(each.name for each in (tmp_path / "plots").iterdir()) == ["copies.png", "loss.png", "traffic.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in (tmp_path / "plots").iterdir())


def test_table(smartnode: Any) -> None:
    """Without --json a table that names the rule."""
    ran = smartnode("simulate", *SMALL, "--rule", "first-fit")
    assert ran.code == 0, ran.err
    assert "first-fit: 8 nodes" in ran.out


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("--rule", "smrtnode"), "did you mean 'smartnode'?"),
        (("--set", "nta=0.3"), "did you mean 'nat=...'?"),
        (("--set", "nat"), "--set takes KEY=VALUE"),
        (("--set", "nat=3"), "shares lie between 0 and 1"),
        (("--nodes", "0"), "above zero"),
        (("--nodes", "1000000"), "at most 20000 nodes"),
    ],
)
def test_refusals(smartnode: Any, arguments: tuple[str, ...], cure: str) -> None:
    """One line that names the cure, exit 2."""
    ran = smartnode("simulate", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert cure in ran.err
