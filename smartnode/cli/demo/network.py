"""N real nodes on loopback: each has its own address, folder, quota and log; no node is given room for the archive or
for its largest item; all of them end with the network.
"""

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from smartnode.cli.demo.census import Reading, reading_of
from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.meeting import NETWORK_ID
from smartnode.cli.demo.process import NodeProcess, stop_all
from smartnode.cli.demo.publication import Publication
from smartnode.domain.pieces import Bytes

DONATED_PER_ARCHIVE = 1.9
START_DEADLINE_S = 60.0
_ASK_TIMEOUT_S = 5.0
_POLL_S = 0.25

Toml = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one node sits: *host* is its own loopback address for listening, outgoing connections and its API."""

    name: str
    host: str
    api_port: int
    quota: Bytes


class Network:
    """The nodes of the demo; ``async with`` starts them and always ends them."""

    def __init__(self, seats: Sequence[Seat], folder: Path, *, catalogue_url: str, bootstrap: str) -> None:
        """Lay out one folder per seat under *folder*; *bootstrap* is ``host:port`` of the private DHT's first node."""
        self._seats = tuple(seats)
        self._nodes: list[NodeProcess] = []
        for seat in self._seats:
            node = NodeProcess(seat.name, folder / seat.name)
            settings = settings_of(seat, node.folder, catalogue_url=catalogue_url, bootstrap=bootstrap)
            (node.folder / "node.toml").write_text(toml(settings), encoding="utf-8")
            self._nodes.append(node)
        self._readings = {seat.name: Reading(name=seat.name, quota=seat.quota, have={}) for seat in self._seats}
        self._client = httpx.AsyncClient(trust_env=False, timeout=_ASK_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        try:
            for node in self._nodes:
                node.start()
            async with asyncio.timeout(START_DEADLINE_S):
                while True:
                    if all(reading.cycle for reading in await self.read()):
                        return self
                    await asyncio.sleep(_POLL_S)
        except BaseException as error:
            await self._end()
            if isinstance(error, TimeoutError):
                raise self._late() from error
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the nodes that were started."""
        return tuple(node.pid for node in self._nodes if node.pid is not None)

    async def read(self) -> tuple[Reading, ...]:
        """Ask every node; one that does not answer keeps its last reading, one that ended raises DemoError."""
        self._all_alive()
        answers = await asyncio.gather(*(self._ask(seat) for seat in self._seats))
        for answer in answers:
            if answer is not None:
                self._readings[answer.name] = answer
        return tuple(self._readings[seat.name] for seat in self._seats)

    def log_tail(self, name: str) -> str:
        """Return the end of the log of the node *name*."""
        return next(node.log_tail() for node in self._nodes if node.name == name)

    async def _ask(self, seat: Seat) -> Reading | None:
        base = f"http://{seat.host}:{seat.api_port}/api/v1"
        try:
            status = await self._client.get(f"{base}/status")
            items = await self._client.get(f"{base}/items")
            status.raise_for_status()
            items.raise_for_status()
        except httpx.HTTPError:
            return None
        try:
            return reading_of(seat.name, status.json(), items.json())
        except (KeyError, ValueError, TypeError) as error:
            message = f"{seat.name} speaks of itself in an unknown form: {error!r}"
            raise DemoError(message, log=self.log_tail(seat.name)) from error

    def _all_alive(self) -> None:
        for node in self._nodes:
            if node.exit_code is not None:
                message = f"{node.name} ended with exit code {node.exit_code}"
                raise DemoError(message, cure="see the end of its log", log=node.log_tail())

    def _late(self) -> DemoError:
        late = next(reading.name for reading in self._readings.values() if reading.cycle == 0)
        message = f"{late} closed no cycle within {START_DEADLINE_S:.0f} s"
        return DemoError(message, cure="close other programs or use fewer --nodes", log=self.log_tail(late))

    async def _end(self) -> None:
        await self._client.aclose()
        await asyncio.to_thread(stop_all, self._nodes)


def seats_of(publication: Publication, *, nodes: int) -> tuple[Seat, ...]:
    """Return *nodes* seats whose quotas sum to 1.9 archives; DemoError when one could hold the archive or the largest
    item.
    """
    quota = Bytes(int(publication.archive_bytes * DONATED_PER_ARCHIVE) // nodes)
    if quota >= publication.largest_bytes:
        message = f"a quota of {quota} bytes would hold the largest item"
        raise DemoError(message, cure="use more --nodes")
    return tuple(
        Seat(name=f"node-{number}", host=(host := f"127.0.{number}.1"), api_port=free_port(host), quota=quota)
        for number in range(1, nodes + 1)
    )


def settings_of(seat: Seat, folder: Path, *, catalogue_url: str, bootstrap: str) -> Toml:
    """Return the node's whole configuration: the real daemon at the pace of a demo."""
    return {
        "node": {"name": seat.name},
        "catalogue": {"urls": [catalogue_url], "allow_unsigned": True, "refresh": "1 h"},
        "storage": {"path": str(folder / "data"), "quota": f"{seat.quota} B", "keep_free": "0 B"},
        "network": {
            "id": NETWORK_ID,
            "listen": [f"{seat.host}:0"],
            "outgoing": seat.host,
            "dht": True,
            "dht_bootstrap": [bootstrap],
            "allow_private": True,
        },
        "api": {"listen": f"{seat.host}:{seat.api_port}"},
        "cycle": {"interval": "2 s", "pace": 0.2},
    }


def toml(settings: Toml) -> str:
    """Return *settings* as TOML; its strings, numbers and lists are spelled as in JSON."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def free_port(host: str) -> int:
    """Return a TCP port of *host* that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            message = f"{host} cannot be used ({error.strerror})"
            raise DemoError(message, cure="the demo needs the loopback addresses 127.0.0.0/8") from error
        port: int = probe.getsockname()[1]
        return port
