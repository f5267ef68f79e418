"""One file and the environment become Settings, or one line that names the key and the cure.

The file: --config, else $CONFIGURATION_DIRECTORY/smartnode.toml (systemd), /config/smartnode.toml (the image), or the
user's configuration folder. A file that was named must exist; without any file the environment alone may do.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import ValidationError

from smartnode.config.environment import Variable, read_environment
from smartnode.config.keys import require_key, require_section
from smartnode.config.settings import DEFAULT_NETWORK, Settings
from smartnode.errors import ConfigError

FILE_NAME = "smartnode.toml"
IMAGE_FOLDER = Path("/config")
FILE_MAX_BYTES = 1 << 20
_OTHERS_SHOWN = 5

Said = dict[str, dict[str, Any]]
Variables = Mapping[tuple[str, str], Variable]


def load(config: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of *config* (None: the default file) and the environment (None: the process's own).

    ConfigError names the key or the variable, and the cure.
    """
    outer = os.environ if environment is None else environment
    said = _read(config if config is not None else default_file(outer), must_exist=config is not None)
    variables = read_environment(outer)
    for (section, key), variable in variables.items():
        said.setdefault(section, {})[key] = variable.value
    try:
        settings = Settings.model_validate(said)
    except ValidationError as error:
        raise _explained(error, variables) from error
    _require_own_network(settings, variables)
    _require_fresh_views(settings, variables)
    return settings


def default_file(environment: Mapping[str, str]) -> Path:
    """Return where the configuration is looked for when none was named."""
    systemd = environment.get("CONFIGURATION_DIRECTORY", "").partition(":")[0]
    if systemd:
        return Path(systemd) / FILE_NAME
    image = IMAGE_FOLDER / FILE_NAME
    return image if image.exists() else user_config_path("smartnode") / FILE_NAME


def _read(path: Path, *, must_exist: bool) -> Said:
    """Return what the file says, every key known; {} when it does not exist and need not."""
    text = _text(path, must_exist=must_exist)
    try:
        parsed = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of thousands of digits
        message = f"{path} is not TOML ({error})"
        raise ConfigError(message, cure="correct that line") from error
    for section, keys in parsed.items():
        require_section(section)
        if not isinstance(keys, dict):
            message = f"{path}: '{section}' is a section, not a key"
            raise ConfigError(message, cure=f"write [{section}] on a line of its own, its keys below")
        for key in keys:
            require_key(section, key)
    return parsed


def _text(path: Path, *, must_exist: bool) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
        if len(raw) <= FILE_MAX_BYTES:
            return raw.decode("utf-8")
    except FileNotFoundError as error:
        if must_exist:
            message = f"{path} does not exist"
            raise ConfigError(message, cure="name an existing TOML file with --config") from error
        return ""
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read ({error})"
        raise ConfigError(message, cure="check its permissions and that it is UTF-8 text") from error
    message = f"{path} is larger than a configuration can be"
    raise ConfigError(message, cure="name a TOML file with --config")


def _require_own_network(settings: Settings, variables: Variables) -> None:
    """ConfigError when a constant of the protocol is set, be it to its own value, and the network is everybody's."""
    keys = [key for key in type(settings.protocol).model_fields if key in settings.protocol.model_fields_set]
    if keys and settings.network.id == DEFAULT_NETWORK:
        message = f"{_named('protocol', keys[0], variables)} is a constant of the network '{DEFAULT_NETWORK}'"
        raise ConfigError(message, cure="remove it, or set network.id to that of a network of your own")


def _require_fresh_views(settings: Settings, variables: Variables) -> None:
    """ConfigError when a view may be so old that it does not show what left in the last epoch."""
    most = settings.protocol.a_guard_most
    if settings.cycle.a_guard > most:
        message = f"{_named('cycle', 'a_guard', variables)} must be at most half of protocol.quiet_window"
        raise ConfigError(message, cure=f"set cycle.a_guard to {most.total_seconds():g} s or less")


def _named(section: str, key: str, variables: Variables) -> str:
    """Return a key as the volunteer wrote it."""
    variable = variables.get((section, key))
    return variable.name if variable else f"'{section}.{key}'"


def _explained(error: ValidationError, variables: Variables) -> ConfigError:
    """Explain the first wrong value and name the other wrong keys; a value of the environment by its variable."""
    wrong: dict[str, str] = {}
    for found in error.errors(include_url=False, include_context=False):
        place = [str(part) for part in found["loc"]]
        variable = variables.get((place[0], place[1])) if len(place) > 1 else None
        name = variable.name if variable else f"'{'.'.join(place[:2])}'"
        text = found["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
        wrong.setdefault(name, text.replace("Tuple should", "List should"))
    first, *others = wrong
    named = ", ".join(others[:_OTHERS_SHOWN])
    more = f"; also wrong: {named}{', ...' if len(others) > _OTHERS_SHOWN else ''}" if others else ""
    return ConfigError(f"{first}: {wrong[first]}{more}", cure="docs/configuration.md shows what each key may be")
