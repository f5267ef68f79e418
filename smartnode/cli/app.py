"""The ``smartnode`` command: each subcommand is one function elsewhere; errors leave as one line and a documented
exit code.

Rooms are imported inside the commands, so that --help and the readers start fast on small hosts.
"""
# ruff: noqa: PLC0415 -- see above

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from smartnode import __version__
from smartnode.cli.later import Commands
from smartnode.daemon.logging import configure
from smartnode.errors import ExitCode, SmartnodeError

config_file = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML configuration (default: the platform's configuration folder).",
)
as_json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout and nothing else.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="smartnode %(version)s")
def app() -> None:
    """Volunteer daemon of Data for Canada: keeps the pieces of open geospatial data that are most at risk alive."""


@app.command()
@config_file
def run(config: Path | None) -> None:
    """Run the node in the foreground; SIGTERM stops it cleanly, SIGHUP reloads what can change at run time."""
    from smartnode.daemon.service import serve

    asyncio.run(serve(config))


@app.command()
@click.option("--nodes", default=5, show_default=True, metavar="N", help="How many nodes, 4 to 20.")
@as_json_flag
def demo(*, nodes: int, as_json: bool) -> None:
    """Run a whole network on loopback: publish, fetch, lose the origin, recover every byte from the nodes."""
    from smartnode.cli.demo.run import demo_command

    sys.exit(demo_command(nodes=nodes, as_json=as_json))


@app.command()
@click.option("--nodes", default=100, show_default=True, metavar="N", help="How many nodes.")
@click.option("--capacity-ratio", default=2.0, show_default=True, metavar="R", help="Donated bytes over the archive's.")
@click.option("--hours", default=72.0, show_default=True, metavar="H", help="How long they run.")
@click.option("--seed", default=1, show_default=True, metavar="S", help="The same seed gives the same figures.")
@click.option(
    "--rule",
    default="smartnode",
    show_default=True,
    metavar="RULE",
    help="How they decide: smartnode, no-guard, first-fit, random, rarest-dataset, keepers, rank-only, greedy.",
)
@click.option("--set", "more", multiple=True, metavar="KEY=VALUE", help="What else happens: docs/placement.md.")
@click.option("--plot", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Save plots (PNG) there.")
@as_json_flag
def simulate(*, plot: Path | None, as_json: bool, more: tuple[str, ...], **chosen: object) -> None:
    """Run a fleet of nodes on the planning code and show how near to the optimum it comes."""
    from smartnode.cli.scenarios import scenario_of
    from smartnode.cli.simulate import simulate_command

    simulate_command(scenario_of(chosen, more), as_json=as_json, plot=plot)


@app.command()
@config_file
@as_json_flag
def plan(config: Path | None, *, as_json: bool) -> None:
    """Show what the node would fetch, keep, evict and decline, and why; changes nothing."""
    from smartnode.cli.planner import show_plan

    show_plan(config, as_json=as_json)


@app.command()
@config_file
@as_json_flag
def status(config: Path | None, *, as_json: bool) -> None:
    """Show the running node's state."""
    from smartnode.cli.readers import show_status

    show_status(config, as_json=as_json)


@app.command("list")
@config_file
@as_json_flag
def list_items(config: Path | None, *, as_json: bool) -> None:
    """Show what the running node holds."""
    from smartnode.cli.readers import show_list

    show_list(config, as_json=as_json)


@app.command()
@click.argument("item")
@config_file
@as_json_flag
def why(item: str, config: Path | None, *, as_json: bool) -> None:
    """Show the evidence for what the running node did with one ITEM.

    ITEM is an info-hash or its first digits, collection/id, or an id that only one item has.
    """
    from smartnode.cli.readers import show_why

    show_why(config, item, as_json=as_json)


@app.command()
@click.argument("item")
@config_file
@as_json_flag
def pin(item: str, config: Path | None, *, as_json: bool) -> None:
    """Fetch ITEM before everything else, and let it go last of all.

    ITEM is an info-hash or its first digits, collection/id, or an id that only one item has. It works whether the node
    runs or not.
    """
    from smartnode.cli.words import say
    from smartnode.domain.wishes import Word

    say(config, item, Word.PINNED, as_json=as_json)


@app.command()
@click.argument("item")
@config_file
@as_json_flag
def unpin(item: str, config: Path | None, *, as_json: bool) -> None:
    """Take `pin ITEM` back."""
    from smartnode.cli.words import take_back
    from smartnode.domain.wishes import Word

    take_back(config, item, Word.PINNED, as_json=as_json)


@app.command()
@click.argument("item")
@config_file
@as_json_flag
def exclude(item: str, config: Path | None, *, as_json: bool) -> None:
    """Stop fetching ITEM at once; what is held of it stays, and is the first that may leave.

    ITEM is an info-hash or its first digits, collection/id, or an id that only one item has. It works whether the node
    runs or not.
    """
    from smartnode.cli.words import say
    from smartnode.domain.wishes import Word

    say(config, item, Word.EXCLUDED, as_json=as_json)


@app.command()
@click.argument("item")
@config_file
@as_json_flag
def include(item: str, config: Path | None, *, as_json: bool) -> None:
    """Take `exclude ITEM` back."""
    from smartnode.cli.words import take_back
    from smartnode.domain.wishes import Word

    take_back(config, item, Word.EXCLUDED, as_json=as_json)


@app.group(cls=Commands)
def catalogue() -> None:
    """The catalogue, as the daemon reads it."""


@catalogue.command("inspect")
@click.argument("source", metavar="FILE_OR_URL")
@as_json_flag
def inspect_catalogue(source: str, *, as_json: bool) -> None:
    """Read a STAC GeoParquet catalogue as the daemon would, and keep nothing."""
    from smartnode.cli.inspect import show_inspection

    show_inspection(source, as_json=as_json)


def main() -> NoReturn:
    """Run the command line; every SmartnodeError becomes one line on stderr and its exit code."""
    configure(level=logging.ERROR)
    try:
        code = app(standalone_mode=False, prog_name="smartnode")
    except SmartnodeError as error:
        _leave(f"smartnode: {error}", error.exit_code)
    except click.UsageError as error:
        _leave(f"smartnode: {error.format_message()}; see `smartnode --help`", ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        _leave("smartnode: stopped by the keyboard", ExitCode.FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _leave(line: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.exit(code)
