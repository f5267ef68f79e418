"""Plots of one simulation, as PNG files: loss against the optimum, copies over time, traffic."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from smartnode.simulation.run import Outcome

mpl.use("Agg")  # no display


def save(outcome: Outcome, folder: Path) -> list[Path]:
    """Write ``loss.png``, ``copies.png`` and ``traffic.png`` into *folder*; returns their paths."""
    history = outcome.history
    hours = [moment.hour for moment in history]
    scores = [moment.score for moment in history]
    stored = [each.copies_mean * outcome.archive / 1e12 for each in scores]
    charts: dict[str, tuple[str, dict[str, list[float]], bool]] = {
        "loss": ("expected loss / optimum", {"": [each.loss_ratio for each in scores]}, True),
        "copies": (
            "copies",
            {
                "mean": [each.copies_mean for each in scores],
                "1st percentile": [each.copies_p1 for each in scores],
                "least": [each.copies_min for each in scores],
            },
            False,
        ),
        "traffic": (
            "TB",
            {"fetched": [moment.downloaded / 1e12 for moment in history], "held": stored},
            False,
        ),
    }
    return [
        _chart(folder / f"{name}.png", hours, title=_title(outcome), label=label, lines=lines, log=log)
        for name, (label, lines, log) in charts.items()
    ]


def _title(outcome: Outcome) -> str:
    scenario = outcome.scenario
    return f"{scenario.rule}: {scenario.nodes} nodes, C/S {scenario.capacity_ratio:g}, seed {scenario.seed}"


def _chart(path: Path, hours: list[float], *, title: str, label: str, lines: dict[str, list[float]], log: bool) -> Path:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in lines.items():
        axes.plot(hours, values, label=name or None, marker="." if len(hours) == 1 else None)
    axes.set(title=title, xlabel="hours", ylabel=label)
    if log:
        axes.set_yscale("log")
    if len(lines) > 1:
        axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=120)
    return path
