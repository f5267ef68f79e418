"""Data, state and cache lie where systemd, the configuration or the platform say."""

from pathlib import Path

import pytest

from smartnode.config.load import load
from smartnode.config.paths import Paths, paths_of
from smartnode.config.settings import Settings

NOWHERE = {"CONFIGURATION_DIRECTORY": "/nonexistent"}


def test_systemd_names_the_folders() -> None:
    """STATE_DIRECTORY and CACHE_DIRECTORY, the first of several; data lies in the state without storage.path."""
    outer = {"STATE_DIRECTORY": "/var/lib/smartnode:/var/lib/other", "CACHE_DIRECTORY": "/var/cache/smartnode"}
    assert paths_of(Settings(), outer) == Paths(
        data=Path("/var/lib/smartnode/data"), state=Path("/var/lib/smartnode"), cache=Path("/var/cache/smartnode")
    )


def test_storage_path_is_the_data_root() -> None:
    """It wins over every default and moves neither state nor cache."""
    settings = load(None, NOWHERE | {"SMARTNODE_STORAGE__PATH": "/srv/d4c"})
    outer = {"STATE_DIRECTORY": "/var/lib/smartnode", "CACHE_DIRECTORY": "/var/cache/smartnode"}
    assert paths_of(settings, outer) == Paths(
        data=Path("/srv/d4c"), state=Path("/var/lib/smartnode"), cache=Path("/var/cache/smartnode")
    )
    assert paths_of(settings, {}).data == Path("/srv/d4c")


def test_a_user_has_the_platforms_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without systemd the XDG folders; an empty variable is none."""
    for kind in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    for outer in ({}, {"STATE_DIRECTORY": "", "CACHE_DIRECTORY": ""}):
        assert paths_of(Settings(), outer) == Paths(
            data=tmp_path / "DATA" / "smartnode" / "data",
            state=tmp_path / "STATE" / "smartnode",
            cache=tmp_path / "CACHE" / "smartnode",
        )


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the process's own variables count."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/elsewhere")
    assert paths_of(Settings()).state == Path("/var/lib/elsewhere")
