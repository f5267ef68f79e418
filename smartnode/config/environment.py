"""SMARTNODE_SECTION__KEY, in any case, sets one key and wins over the file; a wrong one is named as it was written.

Numbers, sizes and switches are text; a list is a JSON list. A variable without the two underscores is not ours:
container platforms make up names like SMARTNODE_PORT for a service called smartnode.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smartnode.config.keys import holds_list, known_keys, require_key
from smartnode.errors import ConfigError

PREFIX = "SMARTNODE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One known key as the environment sets it; *name* as it was written, *value* text or a list."""

    name: str
    section: str
    key: str
    value: Any


def variable_of(section: str, key: str) -> str:
    """Return the name of the variable that sets ``section.key``."""
    return f"{PREFIX}{section}__{key}".upper()


def read_environment(environment: Mapping[str, str]) -> dict[tuple[str, str], Variable]:
    """Return what the environment sets; ConfigError for an unknown key, or one that is set twice in two spellings."""
    found: dict[tuple[str, str], Variable] = {}
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX):
            continue
        section, separator, key = name[len(PREFIX) :].lower().partition("__")
        if not separator:
            _refuse_whole_section(name, section)
            continue
        require_key(section, key, shown=name)
        if (section, key) in found:
            message = f"{found[section, key].name} and {name} set one key"
            raise ConfigError(message, cure=f"keep {variable_of(section, key)} only")
        text = environment[name]
        value = _list(name, text) if holds_list(section, key) else text
        found[section, key] = Variable(name=name, section=section, key=key, value=value)
    return found


def _refuse_whole_section(name: str, section: str) -> None:
    if section in known_keys():
        message = f"{name} names a section, not a key"
        raise ConfigError(message, cure=f"two underscores come before the key: {PREFIX}{section.upper()}__...")


def _list(name: str, text: str) -> list[Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, list):
        message = f"{name} is not a JSON list"
        raise ConfigError(message, cure=f"""write {name}='["first", "second"]'""")
    return parsed
