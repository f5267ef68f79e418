"""The process in which untrusted Parquet is read: little memory, little time, no core file, and then it is gone.

``python -m smartnode.catalogue.child`` reads one JSON request from stdin and answers with JSON lines on stdout (see
``scan``); the last line is ``end`` or ``refused``. Only ``read`` starts it.
"""

import json
import os
import resource
import sys
from typing import Any, TextIO

MEMORY_BYTES = 900 << 20
"""Address space. It must leave room for the interpreter and DuckDB and keep the resident set below 1 GB."""
FILE_BYTES = 16 << 20
OPEN_FILES = 64
_OVER_MEMORY = f"it expands beyond {MEMORY_BYTES >> 20} MiB of memory while it is read"


def confine(*, cpu_s: int) -> None:
    """Bound this process for the rest of its life."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def answer(asked: dict[str, Any], out: TextIO) -> None:
    """Read the file that was asked for; whatever is wrong with it becomes one ``refused`` line."""
    import duckdb  # noqa: PLC0415 - only once this process is confined

    from smartnode.catalogue.scan import Request, scan  # noqa: PLC0415 - as above
    from smartnode.catalogue.selection import Selection  # noqa: PLC0415 - as above

    def emit(line: dict[str, Any]) -> None:
        out.write(json.dumps(line, separators=(",", ":")) + "\n")

    selection = Selection(cap=asked["cap"], held=frozenset(asked["held"]), slice_number=asked["slice"])
    request = Request(name=asked["name"], size=asked["size"], selection=selection, allow_private=asked["allow_private"])
    try:
        scan(request, emit)
    except MemoryError:
        emit({"refused": _OVER_MEMORY})
    except duckdb.OutOfMemoryException:
        emit({"refused": _OVER_MEMORY})
    except duckdb.Error as error:
        emit({"refused": f"it does not decode: {_first_line(error)}"})
    except (ValueError, RecursionError) as error:
        emit({"refused": _first_line(error)})


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def main() -> None:
    """Confine this process, then answer."""
    asked = json.load(sys.stdin)
    os.chdir(asked["directory"])
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii") as out:
        # Nothing else may write between the lines: DuckDB draws a progress bar on stdout after two seconds.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        confine(cpu_s=asked["cpu_s"])
        answer(asked, out)


if __name__ == "__main__":
    main()
