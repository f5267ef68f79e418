"""The demo on stderr: steps as lines, the nodes as bars; on a pipe only the lines."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.text import Text

from smartnode.cli.demo.census import Census
from smartnode.cli.demo.summary import DemoSummary
from smartnode.cli.show import size_text

_COVERAGE = "archive"


class Screen:
    """Draws while it is entered; ``step`` and ``show`` may be called at any rate."""

    def __init__(self) -> None:
        """Write to stderr."""
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=False),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, text: str) -> None:
        """Say what happens next."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, census: Census) -> None:
        """Draw each node's share of its quota and how much of the archive is on the nodes."""
        for reading in census.readings:
            self._draw(reading.name, reading.held, reading.quota, reading.state)
        note = f"at least {census.copies_min}, on average {census.copies_mean:.2f} copies"
        self._draw(_COVERAGE, census.covered, census.archive, note)

    def recovered(self, done: int, whole: int) -> None:
        """Draw how much the fresh client has."""
        self._draw("client", done, whole, "from the nodes alone")

    def _draw(self, name: str, done: int, whole: int, note: str) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=whole, note=note)
        self._progress.update(self._bars[name], completed=done, total=whole, note=note)


def census_line(census: Census) -> str:
    """Return the census in one line."""
    return (
        f"{len(census.readings)} nodes hold {size_text(census.held)} of {size_text(census.donated)} donated:"
        f" {size_text(census.covered)} of {size_text(census.archive)} of the archive,"
        f" at least {census.copies_min} and on average {census.copies_mean:.2f} copies"
    )


def summary_line(summary: DemoSummary) -> str:
    """Return what the demo showed in one line."""
    return (
        f"{'ok' if summary.ok else 'FAILED'}: {size_text(summary.recovered_bytes)} of"
        f" {size_text(summary.archive_bytes)} came back from {summary.nodes} nodes alone and hash right;"
        f" {summary.partial_items} of {summary.items} items are held in part by some node,"
        f" copies {summary.copies_min} at least and {summary.copies_mean:.2f} on average; {summary.seconds:.0f} s"
    )
