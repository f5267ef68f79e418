"""The demo from first file to proof: publish, run the nodes, lose the origin, recover every byte from the nodes.

Whatever happens, the nodes end, the origin ends and the folder goes, in the reverse order of their start.
"""

import asyncio
import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from smartnode.cli.demo.census import Calm, Census, count
from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.meeting import MeetingPoint
from smartnode.cli.demo.network import Network, seats_of
from smartnode.cli.demo.origin import Origin
from smartnode.cli.demo.proof import recover
from smartnode.cli.demo.publication import Publication, publish
from smartnode.cli.demo.samples import write_samples
from smartnode.cli.demo.screen import Screen, census_line, summary_line
from smartnode.cli.demo.summary import DemoSummary
from smartnode.cli.show import print_json, print_line, size_text
from smartnode.daemon.logging import configure
from smartnode.errors import ConfigError, ExitCode, SmartnodeError

NODES_MIN, NODES_MAX = 4, 20
CALM_CYCLES = 2
COVERED_WITHIN_S = 60.0
CALM_WITHIN_S = 10.0  # once everything is covered; extra copies are welcome, not waited for
_ORIGIN_HOST, _MEETING_HOST, _CLIENT_HOST = "127.0.100.1", "127.0.101.1", "127.0.102.1"
_POLL_S = 0.3


def demo_command(*, nodes: int, as_json: bool) -> int:
    """Run the demo, say on stderr how it goes and on stdout what it showed; returns the exit code. ConfigError when
    *nodes* is outside 4..20.
    """
    screen = Screen()
    configure(level=logging.ERROR)  # stdout belongs to the summary, stderr to the screen
    try:
        summary = asyncio.run(_until_asked(nodes, screen))
    except DemoError as error:
        screen.step(f"smartnode: {error}")
        if error.log:
            screen.step(error.log)
        return ExitCode.FAILED
    if as_json:
        print_json(summary.as_json())
    else:
        print_line(summary_line(summary))
    return ExitCode.DONE if summary.ok else ExitCode.FAILED


async def run_demo(*, nodes: int, progress: Screen) -> DemoSummary:
    """Run a network of *nodes* nodes and return what it showed; DemoError names the step that failed, ConfigError a
    number of nodes outside 4..20.
    """
    if not NODES_MIN <= nodes <= NODES_MAX:
        message = f"a demo of {nodes} nodes is not run"
        raise ConfigError(message, cure=f"give --nodes a number from {NODES_MIN} to {NODES_MAX}")
    began = time.monotonic()
    async with AsyncExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="smartnode-demo-")))
        ending.enter_context(progress)
        origin, publication = await _offer(folder / "origin", ending, progress)
        with _step("start the private DHT"):
            meeting = await ending.enter_async_context(MeetingPoint(folder / "meeting", host=_MEETING_HOST))
        seats = seats_of(publication, nodes=nodes)
        progress.step(f"{nodes} nodes start, each gives {size_text(seats[0].quota)}: less than the largest item")
        with _step("start the nodes"):
            network = await ending.enter_async_context(
                Network(
                    seats,
                    folder / "nodes",
                    catalogue_url=publication.catalogue_url,
                    bootstrap=":".join(map(str, meeting.address)),
                )
            )
        with _step("bring the archive onto the nodes"):
            census = await _fetched(network, publication, progress)
        with _step("stop the origin"):
            await asyncio.to_thread(_lose, origin)
            census = count(publication, await network.read())
        progress.step(census_line(census))
        progress.step(f"the origin is gone after {size_text(origin.served_bytes)} served; a fresh client starts")
        with _step("recover the archive from the nodes alone"):
            recovered = await recover(
                publication, folder / "client", host=_CLIENT_HOST, meeting=meeting.address, seen=progress.recovered
            )
        alone = origin.refuses()
    archive = publication.archive_bytes
    return DemoSummary(
        ok=alone and recovered == archive and census.copies_min >= 1 and census.partial_items >= 1,
        nodes=nodes,
        items=len(publication.items),
        archive_bytes=archive,
        donated_bytes=census.donated,
        held_bytes=census.held,
        partial_items=census.partial_items,
        copies_min=census.copies_min,
        copies_mean=round(census.copies_mean, 3),
        recovered_bytes=recovered,
        seconds=round(time.monotonic() - began, 1),
    )


async def _offer(folder: Path, ending: AsyncExitStack, progress: Screen) -> tuple[Origin, Publication]:
    """Write and publish the archive and serve it until *ending* ends."""
    await asyncio.to_thread(folder.mkdir)
    with _step("publish the samples"):
        samples = await asyncio.to_thread(write_samples, folder)
        origin = Origin(folder, host=_ORIGIN_HOST)
        ending.callback(origin.stop)
        publication = await asyncio.to_thread(publish, samples, folder, origin=origin.url)
        await asyncio.to_thread(origin.start)
    progress.step(
        f"{len(publication.items)} sample datasets, {size_text(publication.archive_bytes)}, published at {origin.url}"
    )
    return origin, publication


async def _fetched(network: Network, publication: Publication, progress: Screen) -> Census:
    """Return the census once the archive is on the nodes and they are calm, or calm enough."""
    calm = Calm(cycles=CALM_CYCLES)
    began = time.monotonic()
    covered_at: float | None = None
    while True:
        census = count(publication, await network.read())
        progress.show(census)
        now = time.monotonic()
        if census.complete and covered_at is None:
            covered_at = now
        quiet = calm.reached(census)
        if covered_at is not None and (quiet or now - covered_at > CALM_WITHIN_S):
            return census
        if covered_at is None and now - began > COVERED_WITHIN_S:
            poorest = min(census.readings, key=lambda reading: reading.held)
            message = f"only {census.covered} of {census.archive} bytes are on a node after {COVERED_WITHIN_S:.0f} s"
            raise DemoError(message, cure="close other programs and try again", log=network.log_tail(poorest.name))
        await asyncio.sleep(_POLL_S)


def _lose(origin: Origin) -> None:
    origin.stop()
    if not origin.refuses():
        message = f"{origin.url} still answers after its end"
        raise DemoError(message)


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Name the step in whatever a room or a node says against it."""
    try:
        yield
    except DemoError as error:
        message = f"the demo could not {name}: {error.text}"
        raise DemoError(message, cure=error.cure, log=error.log) from error
    except SmartnodeError as error:
        message = f"the demo could not {name}: {error.room}: {error.text}"
        raise DemoError(message, cure=error.cure) from error
    except OSError as error:
        message = f"the demo could not {name}: {error}"
        raise DemoError(message, cure="check that the temporary folder has 1 GB of room (TMPDIR)") from error


async def _until_asked(nodes: int, screen: Screen) -> DemoSummary:
    """Run the demo; SIGTERM ends it in order, as Ctrl-C does."""
    demo = asyncio.ensure_future(run_demo(nodes=nodes, progress=screen))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, demo.cancel)
    try:
        return await demo
    except asyncio.CancelledError as error:
        demo.cancel()
        await asyncio.wait([demo])
        message = "the demo was stopped"
        raise DemoError(message) from error
