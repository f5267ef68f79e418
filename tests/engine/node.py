"""A node of the engine tests: folders and hole punching of its own, and a program that is killed on purpose.

Run as ``python node.py REQUEST.json``: it fetches or evicts as asked, prints one JSON line per step, and dies by
SIGKILL at the moment that the request names.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash, ItemKey, client_of, node_id
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from smartnode.engine.session import Engine
from smartnode.engine.settings import EngineSettings
from smartnode.metainfo.read import read_metainfo

KEEP_SIZE_PUNCH_HOLE = 3
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Folders:
    """The whole of Places and Puncher below one root."""

    def __init__(self, root: Path) -> None:
        """Use *root* as the data root."""
        self.root = root
        self.punched: list[tuple[Path, tuple[tuple[int, int], ...]]] = []

    def whole(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return the place of whole items."""
        return self.root / item_key.collection / f"{item_key.id}~{info_hash[:8]}"

    def partial(self, item_key: ItemKey, info_hash: InfoHash) -> Path:
        """Return the place of partial items."""
        return self.root / ".partial" / item_key.collection / f"{item_key.id}~{info_hash[:8]}"

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free byte runs of a file."""
        self.punched.append((path, tuple(runs)))
        descriptor = os.open(path, os.O_RDWR)
        try:
            for offset, length in runs:
                if _LIBC.fallocate(descriptor, KEEP_SIZE_PUNCH_HOLE, offset, length) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(descriptor)

    def require_root(self) -> None:
        """The folder is the caller's own: it is always there."""

    def remove_empty(self, folder: Path) -> None:
        """Remove an empty folder."""
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


class DyingFolders(Folders):
    """Folders of a node that is killed at its n-th punch, before or after the holes are made."""

    def __init__(self, root: Path, *, at: int, after: bool) -> None:
        """Die at punch *at* (0 = the first), *after* it or before."""
        super().__init__(root)
        self.at, self.after = at, after

    def punch(self, path: Path, runs: Sequence[tuple[int, int]]) -> None:
        """Free byte runs, or die."""
        mine = len(self.punched) == self.at
        if mine and not self.after:
            die()
        super().punch(path, runs)
        if mine:
            die()


def die() -> None:
    """End this process as a power switch would, page cache aside."""
    os.kill(os.getpid(), signal.SIGKILL)


def engine_at(host: str, folder: Path, folders: Folders | None = None, **changes: object) -> Engine:
    """Return an engine on *host* whose state and data lie in *folder*."""
    chosen: dict[str, object] = {
        "node_id": node_id(NODE_ID_PREFIX + os.urandom(12)),
        "client": client_of("0.1.0", "d4c"),
        "network_id": "d4c",
        "listen": (f"{host}:0",),
        "outgoing": host,
        "dht": False,
        "allow_private": True,
        "state_dir": folder / "state",
    } | changes
    rooms = Folders(folder / "data") if folders is None else folders
    return Engine(EngineSettings(**chosen), places=rooms, puncher=rooms)


def say(**values: object) -> None:
    """Print one step."""
    print(json.dumps(values), flush=True)  # noqa: T201 -- the parent reads these lines


async def live(request: dict[str, Any], torrent: bytes) -> None:
    """Do what the request asks; a request without a moment of death ends in a clean stop."""
    folder = Path(str(request["folder"]))
    at = request.get("die_at_punch")
    folders = Folders(folder / "data")
    if at is not None:
        folders = DyingFolders(folder / "data", at=int(str(at)), after=bool(request["after"]))
    metainfo = read_metainfo(torrent)
    count = metainfo.layout.num_pieces
    item = Item(key=ItemKey(collection="c", id="x"), torrent=None)
    engine = engine_at(str(request["host"]), folder, folders, download_limit=int(str(request.get("limit", 0))))
    await engine.start()
    await engine.want(item, metainfo, Bitfield.from_indices(request["wanted"], count))
    host, port = request["peer"]
    await engine.introduce(metainfo.info_hash, [Address(host=host, port=port)])
    if "die_after_s" in request:
        threading.Timer(float(str(request["die_after_s"])), die).start()
    evicting = [Bitfield.from_indices(pieces, count) for pieces in request.get("evict", [])]
    while True:
        holding = engine.holdings()[metainfo.info_hash]
        say(have=holding.have.count())
        await engine.save()
        say(saved=holding.have.count())
        if not holding.missing.count():
            break
        await asyncio.sleep(0.05)
    for pieces in evicting:
        say(evicting=pieces.indices())
        await engine.evict(metainfo.info_hash, pieces)
        say(evicted=pieces.indices())
        if request.get("again"):
            await engine.want(item, metainfo, Bitfield.from_indices(request["wanted"], count))
    await engine.stop()
    say(stopped=True)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(live(asked, Path(asked["torrent"]).read_bytes()))
