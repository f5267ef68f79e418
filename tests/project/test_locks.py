"""Laws of requirements/: everything that is installed is pinned, hashed, and was asked for."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("run", "dev", "build")
Pins = dict[str, set[str]]


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """The distributions that *requirements* ask for, without the project itself."""
    found = {normal(m[0]) for r in requirements if (m := re.match(r"[A-Za-z0-9._-]+", r))}
    return found - {"smartnode"}


def entries(lock: str) -> list[str]:
    """The logical lines of a lock file, without comments."""
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    return [line for line in re.sub(r"\\\n", " ", text).splitlines() if not line.lstrip().startswith("#")]


def pins(lock: str) -> Pins:
    """Distribution to versions (more than one where they differ by Python)."""
    found: Pins = defaultdict(set)
    for entry in entries(lock):
        name, _, rest = entry.partition("==")
        found[normal(name.partition("[")[0])].add(rest.split()[0])
    return found


def imported(folder: str) -> set[str]:
    """The top-level modules that the code below *folder* imports, other than Python's and its own."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=aliases):
                    found |= {alias.name.partition(".")[0] for alias in aliases}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    return found - sys.stdlib_module_names - {"smartnode", "tests"}


def distributions(modules: set[str]) -> set[str]:
    """The installed distributions that bring *modules*; a module that none brings stands for itself."""
    known = packages_distributions()
    return {normal(name) for module in modules for name in known.get(module, [module])}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_one_version_with_hashes(lock: str) -> None:
    """Installation refuses anything else than the very files that were looked at."""
    assert entries(lock)
    form = re.compile(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [entry for entry in entries(lock) if not form.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_folder(lock: str) -> None:
    """Indexes come from the user's own configuration."""
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|^/|\s/", text) == []


def test_everything_that_is_declared_is_locked() -> None:
    """What pyproject.toml asks for is in the lock that is installed for it."""
    declared = PROJECT["project"]
    extras = declared["optional-dependencies"]
    assert names(declared["dependencies"]) <= pins("run").keys()
    assert names(declared["dependencies"] + extras["test"] + extras["dev"]) <= pins("dev").keys()
    assert names(PROJECT["build-system"]["requires"]) <= pins("build").keys()


def test_the_build_lock_is_made_from_what_the_build_asks_for() -> None:
    """requirements/build.in repeats [build-system] and nothing else."""
    said = (ROOT / "requirements/build.in").read_text().splitlines()
    assert [line for line in said if not line.startswith("#")] == PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("lock", ["run", "build"])
def test_what_is_tested_is_what_runs(lock: str) -> None:
    """One distribution has one set of versions in all locks."""
    dev = pins("dev")
    assert {n: v for n, v in pins(lock).items() if n in dev and dev[n] != v} == {}


def test_every_import_of_the_node_is_declared() -> None:
    """A plain installation finds everything that the code imports, by our own word and not by luck; what is drawn on
    request is an extra.
    """
    plots = PROJECT["project"]["optional-dependencies"]["plot"]
    assert distributions(imported("smartnode")) <= names(PROJECT["project"]["dependencies"] + plots)
    assert distributions(imported("smartnode")) & names(plots) == names(plots)


def test_every_import_of_the_tests_is_declared() -> None:
    """The [test] extra is all that the tests need besides the node itself."""
    declared = names(PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"])
    assert distributions(imported("tests")) <= declared
