"""Where the node keeps what: data is the volunteer's folder, state and cache are the node's own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_data_path, user_state_path

from smartnode.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Absolute folders. *data*: the data root; *state* outlives restarts; *cache* may be deleted at any time."""

    data: Path
    state: Path
    cache: Path


def paths_of(settings: Settings, environment: Mapping[str, str] | None = None) -> Paths:
    """Return the node's folders: systemd's STATE_DIRECTORY and CACHE_DIRECTORY when set, else the platform's."""
    outer = os.environ if environment is None else environment
    state = _first(outer.get("STATE_DIRECTORY"))
    cache = _first(outer.get("CACHE_DIRECTORY"))
    if settings.storage.path is not None:
        data = settings.storage.path
    elif state is not None:
        data = state / "data"
    else:
        data = user_data_path("smartnode") / "data"
    return Paths(
        data=data,
        state=state if state is not None else user_state_path("smartnode"),
        cache=cache if cache is not None else user_cache_path("smartnode"),
    )


def _first(folders: str | None) -> Path | None:
    first = (folders or "").partition(":")[0]
    return Path(first) if first else None
