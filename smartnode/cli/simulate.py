"""``smartnode simulate``: a fleet on the planning code of this version; the table on stdout, progress on stderr."""

import json
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from smartnode.errors import ConfigError
from smartnode.simulation.run import Outcome, simulate
from smartnode.simulation.scenario import Scenario

_SHOWN = 13
"""Lines of the table, at most."""


def simulate_command(scenario: Scenario, *, as_json: bool, plot: Path | None) -> None:
    """Run *scenario*, print what came of it, and save plots into the folder *plot*."""
    if plot is not None:
        _require_plots()
        plot.mkdir(parents=True, exist_ok=True)
    outcome = _watched(scenario)
    if as_json:
        print(json.dumps(outcome.to_json()))  # noqa: T201 -- one object on stdout and nothing else
    else:
        _show(outcome)
    if plot is not None:
        from smartnode.cli.plots import save  # noqa: PLC0415 -- an extra that most installations do not have

        save(outcome, plot)


def _require_plots() -> None:
    """ConfigError unless the plotting library is installed."""
    if find_spec("matplotlib") is None:
        message = "--plot needs a library that is not installed"
        raise ConfigError(message, cure="install smartnode[plot]")


def _watched(scenario: Scenario) -> Outcome:
    """Run with a progress bar on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{scenario.nodes} nodes, {scenario.hours:g} h", total=1.0)
        return simulate(scenario, progress=lambda done: bar.update(task, completed=done))


def _show(outcome: Outcome) -> None:
    scenario = outcome.scenario
    title = (
        f"{scenario.rule}: {scenario.nodes} nodes, C/S {scenario.capacity_ratio:g}, seed {scenario.seed}; "
        f"loss over the optimum {outcome.score.loss_ratio:.4f}, traffic {100 * outcome.traffic_overhead:+.1f} %, "
        f"last copies destroyed {outcome.last_copies_destroyed}"
    )
    table = Table(title=title, title_justify="left")
    for name in (
        "hour",
        "loss / optimum",
        "copies min",
        "1 %",
        "mean",
        "no copy",
        "fetched TB",
        "over quota TB",
        "lost",
    ):
        table.add_column(name, justify="right")
    step = max(1, len(outcome.history) // (_SHOWN - 1))
    for moment in (*outcome.history[:-1:step], outcome.history[-1]):
        found = moment.score
        table.add_row(
            f"{moment.hour:.1f}",
            f"{found.loss_ratio:.4f}",
            str(found.copies_min),
            str(found.copies_p1),
            f"{found.copies_mean:.2f}",
            f"{found.uncovered:.2%}",
            f"{moment.downloaded / 1e12:.1f} TB",
            f"{moment.excess / 1e12:.2f} TB",
            str(moment.destroyed),
        )
    Console().print(table)
