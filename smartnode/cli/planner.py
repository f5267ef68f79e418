"""``plan``: what the node would do now, for a person or as JSON."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from smartnode.api.render import plan_json
from smartnode.cli.show import print_json, print_line, print_table, progress_on_stderr, size_text
from smartnode.config.load import load
from smartnode.config.paths import paths_of
from smartnode.daemon.dry_run import dry_run
from smartnode.domain.plan import Plan, PlanEntry


def show_plan(config: Path | None, *, as_json: bool) -> None:
    """Make the plan and print it."""
    settings = load(config)
    settings.require_catalogue()
    settings.require_storage()
    with progress_on_stderr("reading the catalogue and planning"):
        plan = asyncio.run(dry_run(settings, paths_of(settings), now=datetime.now(UTC)))
    if as_json:
        print_json(plan_json(plan))
        return
    _print_plan(plan)


def _print_plan(plan: Plan) -> None:
    fetched, kept = sum(e.bytes for e in plan.fetch), sum(e.bytes for e in plan.keep)
    print_line(f"quota {size_text(plan.quota_bytes)}: keep {size_text(kept)}, fetch {size_text(fetched)}")
    for reason in plan.degraded:
        print_line(f"degraded: {reason}")
    for name, entries in (
        ("fetch", plan.fetch),
        ("keep", plan.keep),
        ("evict", plan.evict),
        ("declined", plan.declined),
    ):
        if entries:
            print_table(name, ["item", "segments", "bytes", "of", "because"], [_row(e) for e in entries])


def _row(entry: PlanEntry) -> list[str]:
    refused = "" if entry.permitted else "(refused) "
    return [
        str(entry.item),
        str(len(entry.segments)),
        size_text(entry.bytes),
        size_text(entry.item_bytes),
        refused + entry.because.text,
    ]
