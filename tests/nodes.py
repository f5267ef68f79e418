"""A publisher's site, whole nodes as processes of their own, and a plain client, for tests that need a network."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import libtorrent as lt
import numpy as np

from smartnode.cli.demo.origin import Origin
from smartnode.cli.demo.process import NodeProcess
from smartnode.domain.identity import ItemKey
from smartnode.domain.pieces import Bytes
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.publish.catalogue_file import write_catalogue
from smartnode.publish.item import Dataset, Payload, stac_item
from tests.plain import plain_session

MIB = 1 << 20
AT = datetime(2026, 1, 1, tzinfo=UTC)
COLLECTION = "e2e"


def wait_for(what: str, ready: Callable[[], Any], *, deadline_s: float = 60.0, pause_s: float = 0.1) -> Any:
    """Return the first true answer of *ready*; fails when the deadline passes."""
    until = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        answer = ready()
        if answer:
            return answer
        assert time.monotonic() < until, f"waited {deadline_s} s for {what}"
        pause.wait(pause_s)


@dataclass
class Site:
    """What a publisher serves: files of random bytes, torrents with web seeds, one catalogue."""

    folder: Path
    origin: Origin
    files: dict[str, Path] = field(default_factory=dict)
    torrents: dict[str, Metainfo] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def catalogue(self) -> str:
        """Where the catalogue is served."""
        return f"{self.origin.url}/catalogue.parquet"

    def publish(
        self,
        sizes: dict[str, int],
        *,
        piece_length: int,
        seed: int = 1,
        hrefs: dict[str, str] | None = None,
        mirrors: dict[str, list[str]] | None = None,
        trackers: Sequence[str] = (),
    ) -> None:
        """Write the files, their torrents and the catalogue; *hrefs*: other addresses of some .torrent files;
        *mirrors*: other web seeds than the origin for some items; *trackers*: what .torrent files and catalogue name.
        """
        generator = np.random.default_rng(seed)
        self.items.clear()
        for name, size in sizes.items():
            path = self.folder / name
            with path.open("wb") as out:
                for start in range(0, size, 64 * MIB):
                    out.write(generator.bytes(min(64 * MIB, size - start)))
            seeds = (mirrors or {}).get(name, [f"{self.origin.url}/{name}"])
            raw = make_torrent(path, piece_length=piece_length, web_seeds=seeds, trackers=trackers, created_at=AT)
            (self.folder / f"{name}.torrent").write_bytes(raw)
            self.files[name], self.torrents[name] = path, read_metainfo(raw)
            self.items.append(self._item(name, path, (hrefs or {}).get(name), href=seeds[0] if seeds else None))
        write_catalogue(self.items, self.folder / "catalogue.parquet")

    def name_web_seed(self, name: str, url: str) -> None:
        """Write the catalogue again with another web seed for one item; its .torrent file stays as it is."""
        for item in self.items:
            for asset in item["assets"].values():
                if item["id"] == name and "torrent" not in asset["roles"]:
                    asset["href"] = url
        write_catalogue(self.items, self.folder / "catalogue.parquet")

    def name_region(self, name: str, region: str) -> None:
        """Write the catalogue again with where the web seed of one item is."""
        for item in self.items:
            if item["id"] == name:
                item["assets"]["data"]["storage:region"] = region
        write_catalogue(self.items, self.folder / "catalogue.parquet")

    def supersede(self, name: str, after: bytes) -> None:
        """Serve *after* where one item's file was, and call the item deprecated in the catalogue."""
        self.files[name].write_bytes(after)
        for item in self.items:
            item["properties"]["deprecated"] = item["properties"].get("deprecated", False) or item["id"] == name
        write_catalogue(self.items, self.folder / "catalogue.parquet")

    def name_trackers(self, trackers: Sequence[str]) -> None:
        """Write the catalogue again with *trackers* for every item; the .torrent files stay as they are."""
        for item in self.items:
            item["assets"]["torrent"]["torrent:trackers"] = list(trackers)
        write_catalogue(self.items, self.folder / "catalogue.parquet")

    def _item(self, name: str, path: Path, metainfo_href: str | None, *, href: str | None) -> dict[str, Any]:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return stac_item(
            Dataset(
                key=ItemKey(collection=COLLECTION, id=name),
                title=name,
                version="1.0.0",
                license="CC0-1.0",
                bbox=(-80.0, 43.0, -79.0, 44.0),
                start=AT,
                end=AT,
                created=AT,
                series=name,
            ),
            Payload(
                href=href or f"{self.origin.url}/nowhere/{name}",
                media_type="application/octet-stream",
                path=PurePosixPath(name),
                size=Bytes(path.stat().st_size),
                sha256=digest,
            ),
            metainfo=self.torrents[name],
            metainfo_href=metainfo_href or f"{self.origin.url}/{name}.torrent",
            collection_href=f"{self.origin.url}/collection.json",
            self_href=f"{self.origin.url}/{name}.json",
        )


class RunningNode:
    """One real ``smartnode run`` and what can be seen of it from outside."""

    def __init__(self, folder: Path, *, host: str, api_port: int, api_host: str | None = None) -> None:
        """Prepare a node in *folder* that lives at *host*; *api_host*: where it answers its owner, if elsewhere."""
        self.process = NodeProcess(folder.name, folder)
        self.folder = folder
        self.host = host
        self._api_host = api_host or host
        self._api_port = api_port
        self._api = f"http://{self._api_host}:{api_port}"

    def configure(
        self,
        *,
        catalogue: str,
        quota: int,
        keep_free: int = 0,
        interval: str = "1 s",
        pace: float = 0.5,
        dht: tuple[str, ...] | None = None,
        download: str | None = None,
        network: str = "",
        listen: Sequence[str] = (),
        refresh: str = "1 h",
        outgoing: str | None = None,
        more: str = "",
    ) -> None:
        """Write the node's configuration; *network*: more lines of that section, *more*: of the last section, and more
        sections. *outgoing*: None for the node's own address, "" for none.
        """
        outgoing = self.host if outgoing is None else outgoing
        limits = f'[bandwidth]\ndownload = "{download}"' if download else ""
        (self.folder / "node.toml").write_text(
            f"""
[node]
name = "{self.folder.name}"
[catalogue]
urls = ["{catalogue}"]
allow_unsigned = true
refresh = "{refresh}"
[storage]
path = "{self.folder / "data"}"
quota = {quota}
keep_free = {keep_free}
[network]
id = "e2e"
listen = {json.dumps(list(listen) or [f"{self.host}:0"])}
{f'outgoing = "{outgoing}"' if outgoing else ""}
dht = {str(dht is not None).lower()}
dht_bootstrap = {json.dumps(dht or ())}
allow_private = true
{network}
{limits}
[api]
listen = "{self._api_host}:{self._api_port}"
[cycle]
interval = "{interval}"
pace = {pace}
{more}
"""
        )

    def start(self) -> None:
        """Start the process and wait until its API answers."""
        self.process.start()
        wait_for("the node's API", self.status, deadline_s=40)

    def kill(self) -> None:
        """End the process as a power cut would."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.end()

    def stop(self) -> bool:
        """Ask the node to stop; true when it went by itself."""
        self.process.ask_to_stop()
        return self.process.end()

    def hang_up(self) -> None:
        """Ask the node to read its configuration again."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGHUP)

    def status(self) -> dict[str, Any] | None:
        """The node in one object, None while it does not answer."""
        assert self.process.exit_code is None, self.process.log_tail()
        body = self.ask("/api/v1/status")
        return body if body and (body["listen_port"] or body["proxy"]) else None

    def ask(self, path: str) -> Any:
        """The JSON at *path*, None while nothing answers."""
        try:
            return httpx.get(self._api + path, trust_env=False, timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return None

    def held(self, name: str = "") -> set[int]:
        """Pieces held of the torrent of item *name* (any item when empty)."""
        rows = (self.ask("/api/v1/items") or {"items": []})["items"]
        return {
            piece
            for row in rows
            if not name or row["item"] == f"{COLLECTION}/{name}"
            for first, last in row["have"]
            for piece in range(first, last + 1)
        }

    def allocated(self) -> int:
        """Blocks on disk of everything that the node writes, in bytes, by du."""
        out = subprocess.run(
            [
                "du",
                "-s",
                "--block-size=1",
                *(str(self.folder / p) for p in ("data", "state", "cache") if (self.folder / p).exists()),
            ],
            capture_output=True,
            text=True,
            check=False,  # files come and go while du walks
        ).stdout
        return sum(int(line.split()[0]) for line in out.splitlines())


@dataclass
class Fetched:
    """What a plain client got from one peer."""

    pieces: set[int]
    hash_failures: int
    payload: int


def fetch_from(
    peer: tuple[str, int], metainfo: Metainfo, wanted: set[int], *, folder: Path, deadline_s: float = 60
) -> Fetched:
    """Fetch *wanted* from one peer with a plain libtorrent session, and count what was wrong."""
    session = plain_session(
        "127.0.250.1",
        enable_outgoing_utp=False,  # TCP: over loopback uTP is an order of magnitude slower
        alert_mask=lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    )
    params = lt.load_torrent_buffer(metainfo.raw)
    params.save_path = str(folder)
    params.url_seeds = []
    params.flags = params.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    params.piece_priorities = [4 if n in wanted else 0 for n in range(metainfo.layout.num_pieces)]
    handle = session.add_torrent(params)
    handle.connect_peer(peer)
    failures = 0

    def done() -> bool:
        nonlocal failures
        session.wait_for_alert(100)
        failures += sum(isinstance(a, lt.hash_failed_alert) for a in session.pop_alerts())
        return failures > 0 or bool(handle.status().is_finished)

    wait_for("the plain client to fetch", done, deadline_s=deadline_s, pause_s=0)
    have = {n for n, has in enumerate(handle.status().pieces) if has}
    payload = handle.status().total_payload_download
    session.remove_torrent(handle)
    return Fetched(pieces=have & wanted, hash_failures=failures, payload=payload)
