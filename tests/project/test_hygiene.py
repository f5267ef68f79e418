"""Laws of the repository itself: what is tracked, what is documented, which room may know what."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from smartnode import __version__
from smartnode.cli.app import app

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 300
# In halves, so that this file does not hold what it looks for.
FOREIGN = [
    "".join(halves)
    for halves in (
        ("pyp", "i.org"),
        ("pythonhos", "ted"),
        ("deb.deb", "ian.org"),
        ("registry.npm", "js"),
        ("/opt/py", "pi"),
        ("/opt/wh", "eels"),
        ("/wor", "k/"),
    )
]
KNOWN_TO = {"libtorrent": {"engine", "metainfo"}, "duckdb": {"catalogue", "publish"}}


@cache
def tracked() -> dict[str, str]:
    """Every tracked path, relative, with its mode."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked is not known")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--stage"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = (row.split(None, 3) for row in listed.split("\0") if row)
    return {path: mode for mode, _, _, path in rows if (ROOT / path).is_file()}


@cache
def project() -> dict[str, Any]:
    """The tables of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def rooms() -> set[str]:
    """The packages of the house."""
    return {path.parent.name for path in (ROOT / "smartnode").glob("*/__init__.py")}


def contracts() -> list[dict[str, Any]]:
    """The import contracts."""
    found: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return found


def pages() -> list[Path]:
    """What a person reads; decisions are history and may speak of what is not there."""
    return sorted(p for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("packaging/*.md")) if p.is_file())


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something, as the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


def test_no_tracked_file_names_a_package_host_or_a_folder_of_one_machine() -> None:
    """The project is built anywhere, from whatever index its user has configured."""
    found = []
    for path in tracked():
        raw = (ROOT / path).read_bytes()
        if b"\0" not in raw[:8192]:
            text = raw.decode("utf-8", "replace")
            found += [f"{path}: {word}" for word in FOREIGN if word in text]
    assert found == []


def test_no_module_is_longer_than_a_reader_keeps_in_mind() -> None:
    """One idea a module, at most 300 lines."""
    lengths = {p: len(p.read_text().splitlines()) for p in (ROOT / "smartnode").rglob("*.py")}
    assert lengths
    assert {str(p): n for p, n in lengths.items() if n > MODULE_LINES_MAX} == {}


def test_every_command_is_in_the_readme() -> None:
    """A person finds each command that works, by its full words."""
    readme = (ROOT / "README.md").read_text()
    missing = [words for words in commands(app) if f"smartnode {' '.join(words)}" not in readme]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    """No page shows a command that the node would refuse."""
    text = page.read_text()
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    unknown = []
    for words in re.findall(r"(?:^|[/\s`])smartnode ([a-z]+(?: [a-z]+)?)", "\n".join(code), re.MULTILINE):
        name, _, below = words.partition(" ")
        command = app.commands.get(name)
        if command is None or (isinstance(command, click.Group) and below not in command.commands):
            unknown.append(words)
    assert unknown == []


@pytest.mark.parametrize("page", [*pages(), *sorted(ROOT.glob("docs/decisions/*.md"))], ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A reader who follows a link finds the file."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text())
    dead = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert dead == []


def test_every_room_has_its_place_in_the_one_direction() -> None:
    """import-linter knows all rooms: the layers are exhaustive and name exactly the packages that there are."""
    layers = [c for c in contracts() if c["type"] == "layers"]
    assert [c["exhaustive"] for c in layers] == [True]
    named = {name.strip() for layer in layers[0]["layers"] for name in layer.split("|")}
    assert named == rooms() | {"errors"}


@pytest.mark.parametrize("library", KNOWN_TO)
def test_a_library_is_forbidden_to_every_room_that_does_not_own_it(library: str) -> None:
    """A new room does not slip past the contracts that keep libtorrent and DuckDB where they are."""
    (contract,) = [c for c in contracts() if c.get("forbidden_modules") == [library]]
    assert {m.removeprefix("smartnode.") for m in contract["source_modules"]} == rooms() - KNOWN_TO[library]


def test_the_version_is_said_once_and_told() -> None:
    """pyproject.toml, the package and the changelog speak of one version."""
    assert project()["project"]["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_what_is_run_by_name_is_executable() -> None:
    """.ci/run starts by itself in any checkout."""
    assert tracked()[".ci/run"] == "100755"


def test_every_log_event_is_documented() -> None:
    """docs/events.md lists the events of the code, all of them and no other."""
    call = re.compile(r"""\b_?log\.(?:debug|info|warning|error|exception)\(\s*"([a-z_.]+)\"""")
    said = {name for path in (ROOT / "smartnode").rglob("*.py") for name in call.findall(path.read_text("utf-8"))}
    rows = [
        line.split("|")[1] for line in (ROOT / "docs/events.md").read_text("utf-8").splitlines() if line[:3] == "| `"
    ]
    listed = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)}
    assert said == listed
