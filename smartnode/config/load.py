"""One file and the environment become Settings, or one line that names the key and the cure.

The file: --config, else $CONFIGURATION_DIRECTORY/smartnode.toml (systemd), /config/smartnode.toml (the image), or the
user's configuration folder. A file that was named must exist; without any file the environment alone may do.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from smartnode.config.later import NOT_YET_KEYS, NOT_YET_SECTIONS, is_later
from smartnode.config.settings import Settings
from smartnode.errors import ConfigError

FILE_NAME = "smartnode.toml"
IMAGE_FOLDER = Path("/config")
ENV_PREFIX = "SMARTNODE_"
FILE_MAX_BYTES = 1 << 20


def load(config: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of *config* (None: the default file) and the environment; ConfigError names the cure."""
    outer = os.environ if environment is None else environment
    said = _read(config if config is not None else default_file(outer), must_exist=config is not None)
    for section, keys in said.items():
        if not isinstance(keys, dict):
            _refuse_key(section, "")
        for key in keys if isinstance(keys, dict) else ():
            _check(section, key)
    for section, key in _environment_keys(outer):
        _check(section, key)
    try:
        return Settings(**said)
    except ValidationError as error:
        raise _explained(error) from error
    except SettingsError as error:
        message = f"an environment variable is not understood: {error}"
        raise ConfigError(message, cure="lists are JSON: SMARTNODE_CATALOGUE__URLS='[\"/path\"]'") from error


def default_file(environment: Mapping[str, str]) -> Path:
    """Return where the configuration is looked for when none was named."""
    systemd = environment.get("CONFIGURATION_DIRECTORY", "").partition(":")[0]
    if systemd:
        return Path(systemd) / FILE_NAME
    image = IMAGE_FOLDER / FILE_NAME
    return image if image.exists() else user_config_path("smartnode") / FILE_NAME


def known_keys() -> dict[str, list[str]]:
    """Return the keys that work, per section."""
    found: dict[str, list[str]] = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        found[section] = [f.alias or name for name, f in model.model_fields.items()]
    return found


def _read(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            message = f"{path} is larger than a configuration can be"
            raise ConfigError(message, cure="name a TOML file with --config")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            message = f"{path} does not exist"
            raise ConfigError(message, cure="name an existing TOML file with --config") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read ({error})"
        raise ConfigError(message, cure="check its permissions and that it is UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not TOML ({error})"
        raise ConfigError(message, cure="correct that line") from error


def _environment_keys(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in environment:
        if name.upper().startswith(ENV_PREFIX):
            section, separator, key = name[len(ENV_PREFIX) :].lower().partition("__")
            if separator:
                yield section, key


def _check(section: str, key: str) -> None:
    if is_later(section, key):
        message = f"'{section}.{key}' is not supported yet"
        raise ConfigError(message, cure="remove it; CHANGELOG.md says what this version does")
    if key not in known_keys().get(section, []):
        _refuse_key(section, key)


def _refuse_key(section: str, key: str) -> None:
    if section in NOT_YET_SECTIONS:
        message = f"'{section}' is not supported yet"
        raise ConfigError(message, cure="remove it")
    wanted = f"{section}.{key}" if key else section
    names = [f"{s}.{k}" for s, keys in known_keys().items() for k in keys]
    near = get_close_matches(wanted, [*names, *NOT_YET_KEYS] if key else list(known_keys()), n=1, cutoff=0.5)
    cure = f"did you mean '{near[0]}'?" if near else "docs/configuration.md lists the keys"
    message = f"unknown key '{wanted}'" if key else f"'{wanted}' is not a section of keys"
    raise ConfigError(message, cure=cure)


def _explained(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"'{key}': {said}", cure="docs/configuration.md shows what each key may be")
