"""Which keys there are: each works, or comes later, or is refused with the nearest name; none is silently dead."""

from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from smartnode.config.later import NOT_YET_KEYS, NOT_YET_SECTIONS, is_later
from smartnode.config.settings import Settings
from smartnode.errors import ConfigError

_NEAR: Final = 0.5
_SHOWN: Final = 80  # characters of a name that we show


@cache
def known_keys() -> MappingProxyType[str, tuple[str, ...]]:
    """Return the keys that work, per section, as a configuration spells them."""
    found: dict[str, tuple[str, ...]] = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        found[section] = tuple(f.alias or name for name, f in model.model_fields.items())
    return MappingProxyType(found)


def holds_list(section: str, key: str) -> bool:
    """Say whether the known key ``section.key`` is a list."""
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    fields = {f.alias or name: f for name, f in model.model_fields.items()}
    return getattr(fields[key].annotation, "__origin__", None) is tuple


def require_section(section: str, *, shown: str | None = None) -> None:
    """ConfigError unless *section* has keys that work; *shown*: how the volunteer wrote it."""
    if section in NOT_YET_SECTIONS:
        raise _later(shown or section)
    if section not in known_keys():
        message = f"unknown section '{_cut(shown or section)}'"
        raise ConfigError(message, cure=_nearest(section, [*known_keys(), *NOT_YET_SECTIONS]))


def require_key(section: str, key: str, *, shown: str | None = None) -> None:
    """ConfigError unless ``section.key`` works; *shown*: how the volunteer wrote it."""
    name = f"{section}.{key}"
    if is_later(section, key):
        raise _later(shown or name)
    if key not in known_keys().get(section, ()):
        message = f"unknown key '{_cut(shown or name)}'"
        names = [f"{s}.{k}" for s, keys in known_keys().items() for k in keys]
        raise ConfigError(message, cure=_nearest(name, [*names, *NOT_YET_KEYS]))


def _later(shown: str) -> ConfigError:
    return ConfigError(f"'{_cut(shown)}' is not supported yet", cure="remove it; CHANGELOG.md says what works")


def _nearest(wanted: str, names: list[str]) -> str:
    near = get_close_matches(wanted[:_SHOWN], names, n=1, cutoff=_NEAR)
    return f"did you mean '{near[0]}'?" if near else "docs/configuration.md lists the keys"


def _cut(name: str) -> str:
    """Bound what is shown, and keep it on one line."""
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}..."
