"""A small archive of real files, published like the demo's: two of its own samples."""

from pathlib import Path

import pytest

from smartnode.cli.demo.samples import RECIPES, Sample, write_sample


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the origin serves."""
    made = tmp_path / "origin"
    made.mkdir()
    return made


@pytest.fixture
def samples(folder: Path) -> tuple[Sample, ...]:
    """Return the two smallest samples, written."""
    return tuple(write_sample(recipe, folder) for recipe in RECIPES[-2:])
