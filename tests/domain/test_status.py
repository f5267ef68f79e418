"""What readers see is frozen: a published status or decision cannot be changed by who reads it."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from smartnode.domain.decision import Decision
from smartnode.domain.status import CatalogueStatus, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_published_values_are_frozen() -> None:
    """Writing to a published value raises."""
    status = CatalogueStatus(seq=None, items=0, with_torrent=0, verified=False, accepted_at=None, source=None)
    decision = Decision(
        at=NOW,
        cycle=1,
        action="fetch",
        item="c/i",
        info_hash=None,
        segments=1,
        bytes=2,
        rule="r",
        because="b",
        outcome="o",
    )
    for value in (status, decision):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            value.items = 1  # type: ignore[misc,union-attr]  # the law under test


def test_states_speak_for_themselves() -> None:
    """A state is its own spelling in JSON."""
    assert [str(state) for state in State] == ["starting", "fetching", "steady", "over_quota", "stopping"]
