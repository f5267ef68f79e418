"""Reads a scenario from the command line: every field of it can be set, each error names the nearest right word."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smartnode.errors import ConfigError
from smartnode.simulation.scenario import Rule, Scenario

NODES_MAX = 20_000
SEGMENTS_MAX = 200_000
TICKS_MAX = 100_000
"""A scenario beyond these would fill the host's memory, or never end."""

_READER = TypeAdapter(Scenario)


def scenario_of(chosen: Mapping[str, Any], more: Sequence[str]) -> Scenario:
    """Return the scenario of the options *chosen* and of *more*, ``key=value`` each; ConfigError (exit 2) otherwise."""
    values = dict(chosen)
    for word in more:
        key, equals, value = word.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or name not in Scenario.__dataclass_fields__:
            near = get_close_matches(name, Scenario.__dataclass_fields__, n=1)
            cure = f"did you mean '{near[0]}=...'?" if near else "docs/placement.md lists the keys"
            message = f"--set takes KEY=VALUE, not '{word[:80]}'"
            raise ConfigError(message, cure=cure)
        values[name] = value.strip()
    try:
        scenario = _READER.validate_python(values)
    except ValidationError as error:
        raise _refusal(error) from error
    if scenario.nodes > NODES_MAX or scenario.ticks > TICKS_MAX or scenario.archive // scenario.segment > SEGMENTS_MAX:
        message = "the scenario is too large for one host"
        cure = f"at most {NODES_MAX} nodes, {SEGMENTS_MAX} segments and {TICKS_MAX} cycles"
        raise ConfigError(message, cure=cure)
    return scenario


def _refusal(error: ValidationError) -> ConfigError:
    """Say the first thing that is wrong."""
    first = error.errors()[0]
    where = str(first["loc"][0]) if first["loc"] else "the scenario"
    if where == "rule":
        near = get_close_matches(str(first["input"]), list(Rule), n=1)
        cure = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(Rule)}"
        return ConfigError(f"no rule is named '{str(first['input'])[:80]}'", cure=cure)
    said = first["msg"].removeprefix("Value error, ").partition(", not Scenario")[0]
    return ConfigError(f"{where}: {said}", cure="see smartnode simulate --help")
