"""What a person reads: sizes in decimal units as the quota is written, ages in words, tables; JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000


def size_text(count: float | None) -> str:
    """Return bytes as text, ``?`` when unknown."""
    if count is None:
        return "?"
    value = float(count)
    for unit in _UNITS:
        if abs(value) < _STEP or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.2f} {unit}"
        value /= _STEP
    return f"{count} B"


def print_json(value: Any) -> None:
    """Write one JSON object to stdout and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to stdout; cells are shown as they are, markup in them is not obeyed."""
    table = Table(*columns, title=title, title_justify="left", highlight=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def print_line(text: str) -> None:
    """Write one line to stdout, markup in it is not obeyed."""
    Console().print(Text(text), soft_wrap=True)


@contextmanager
def progress_on_stderr(what: str) -> Iterator[None]:
    """Show that long work goes on, on a terminal only; stdout stays clean."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield
