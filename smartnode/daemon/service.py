"""The process: reads the configuration, runs one node, obeys SIGTERM, SIGINT and SIGHUP, tells systemd."""

import asyncio
import signal
from pathlib import Path

import structlog

from smartnode.config.load import load
from smartnode.config.paths import paths_of
from smartnode.config.reload import changed
from smartnode.config.settings import Settings
from smartnode.daemon.logging import configure
from smartnode.daemon.modesty import be_modest
from smartnode.daemon.node import Node
from smartnode.daemon.notify import notify
from smartnode.errors import CatalogueError, ConfigError

log = structlog.get_logger(__name__)


async def serve(config: Path | None) -> None:
    """Run a node until SIGTERM or SIGINT; SmartnodeError when it cannot start."""
    settings = load(config)
    settings.require_storage()
    settings.require_catalogue()
    require_unsigned(settings)
    configure()
    be_modest()
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    node = Node(settings, paths_of(settings))
    await node.start()
    notify("READY=1")
    try:
        await _until(stop, reload, node=node, settings=settings, config=config)
    finally:
        notify("STOPPING=1")
        log.info("node.stopping")
        await node.stop()
        log.info("node.stopped")


async def _until(
    stop: asyncio.Event, reload: asyncio.Event, *, node: Node, settings: Settings, config: Path | None
) -> None:
    """Wait for the end; every SIGHUP on the way reloads the configuration."""
    ending = asyncio.ensure_future(stop.wait())
    while True:
        again = asyncio.ensure_future(reload.wait())
        await asyncio.wait({ending, again}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            again.cancel()
            return
        reload.clear()
        settings = await _reload(node, settings, config)


async def _reload(node: Node, settings: Settings, config: Path | None) -> Settings:
    """Apply what can change; a file that does not load changes nothing and is said in the log."""
    try:
        fresh = load(config)
        fresh.require_storage()
    except ConfigError as error:
        log.warning("config.refused", reason=str(error))
        return settings
    applied, waiting = changed(settings, fresh)
    await node.reload(fresh)
    log.info("config.reloaded", applied=applied, needs_restart=waiting)
    return fresh


def require_unsigned(settings: Settings) -> None:
    """CatalogueError (exit 3) unless unsigned catalogues are allowed: signatures cannot be checked yet."""
    if not settings.catalogue.allow_unsigned:
        message = "no catalogue can be used: signatures are not supported yet"
        raise CatalogueError(message, cure="set catalogue.allow_unsigned = true to use it unsigned")
