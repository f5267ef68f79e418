"""Clients that we did not write, as their users run them: transmission, qBittorrent, aria2.

Each finds peers by the tracker alone (no DHT, no local discovery, no port forwarding). They refuse loopback peers, so
that the test gives its namespace other addresses (``lan``).
"""

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx

from tests.network.conftest import Processes, need
from tests.nodes import wait_for

MIB = 1 << 20


class Transmission:
    """transmission-daemon, driven by its RPC."""

    name = "transmission"

    def __init__(self, processes: Processes, folder: Path, *, host: str, encryption: int = 1, utp: bool = True) -> None:
        """Start it at *host*; *encryption* 0 tolerated, 1 preferred, 2 required."""
        folder.mkdir()
        (folder / "done").mkdir()
        settings = {
            "bind-address-ipv4": host,
            "bind-address-ipv6": "::1",
            "dht-enabled": False,
            "lpd-enabled": False,
            "pex-enabled": True,
            "port-forwarding-enabled": False,
            "utp-enabled": utp,
            "encryption": encryption,
            "download-dir": str(folder / "done"),
            "incomplete-dir-enabled": False,
            "peer-port": 51413,
            "rpc-bind-address": "127.0.0.1",
            "rpc-port": 9091,
            "rpc-authentication-required": False,
            "rpc-whitelist-enabled": False,
            "umask": 18,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        self._folder = folder
        self._session = ""
        processes.start(need("transmission-daemon"), "-f", "-g", str(folder), env=_home(folder))
        wait_for("transmission's RPC", self._answers, deadline_s=30)

    def add(self, torrent: Path) -> None:
        """Begin to fetch *torrent*."""
        raw = base64.b64encode(torrent.read_bytes()).decode()
        added = self._ask("torrent-add", {"metainfo": raw, "paused": False})
        assert "torrent-added" in added

    def state(self) -> dict[str, Any]:
        """What it says of its one torrent: fraction done, bytes that failed their hash."""
        fields = ["percentDone", "corruptEver", "downloadedEver", "errorString", "peersConnected", "isFinished"]
        return dict(self._ask("torrent-get", {"fields": fields})["torrents"][0])

    def done(self) -> bool:
        """It has everything."""
        return bool(self.state()["percentDone"] == 1)

    def failures(self) -> int:
        """Bytes that failed their hash."""
        return int(self.state()["corruptEver"])

    def file(self, name: str) -> Path:
        """Where it put the file."""
        return self._folder / "done" / name

    def _answers(self) -> bool:
        try:
            self._ask("session-get", {})
        except httpx.HTTPError:
            return False
        return True

    def _ask(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        for _ in range(2):
            answer = httpx.post(
                "http://127.0.0.1:9091/transmission/rpc",
                json={"method": method, "arguments": arguments},
                headers={"X-Transmission-Session-Id": self._session},
                trust_env=False,
                timeout=10,
            )
            if answer.status_code != httpx.codes.CONFLICT:
                break
            self._session = answer.headers["X-Transmission-Session-Id"]
        body = answer.raise_for_status().json()
        assert body["result"] == "success", body
        return dict(body["arguments"])


class QBittorrent:
    """qbittorrent-nox, driven by its web API."""

    name = "qbittorrent"
    _api = "http://127.0.0.1:8999/api/v2"

    def __init__(self, processes: Processes, folder: Path, *, host: str, encryption: int = 0) -> None:
        """Start it at *host*; *encryption* 0 allowed, 1 required, 2 off."""
        config = folder / "qBittorrent" / "config"
        config.mkdir(parents=True)
        (folder / "done").mkdir()
        (config / "qBittorrent.conf").write_text(
            f"""
[LegalNotice]
Accepted=true
[BitTorrent]
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=true
Session\\Encryption={encryption}
Session\\Port=6900
Session\\InterfaceAddress={host}
Session\\DefaultSavePath={folder}/done
Session\\GlobalMaxRatio=-1
Session\\MultiConnectionsPerIp=true
[Network]
PortForwardingEnabled=false
[Preferences]
Connection\\UPnP=false
Connection\\InterfaceAddress={host}
WebUI\\Address=127.0.0.1
WebUI\\Port=8999
WebUI\\LocalHostAuth=false
WebUI\\UseUPnP=false
WebUI\\CSRFProtection=false
General\\UseRandomPort=false
"""
        )
        self._folder = folder
        processes.start(need("qbittorrent-nox"), f"--profile={folder}", env=_home(folder))
        wait_for("qBittorrent's web API", self._answers, deadline_s=30)

    def add(self, torrent: Path) -> None:
        """Begin to fetch *torrent*."""
        files = {"torrents": (torrent.name, torrent.read_bytes())}
        answer = httpx.post(f"{self._api}/torrents/add", files=files, trust_env=False, timeout=10)
        assert answer.text == "Ok.", answer.text

    def done(self) -> bool:
        """It has everything."""
        torrents = self.state()
        return bool(torrents) and torrents[0]["progress"] == 1

    def failures(self) -> int:
        """Peers that it banned, as it does when a piece fails its hash."""
        return len(self._get("log/peers").json())

    def state(self) -> Any:
        """What it says of its torrents."""
        return self._get("torrents/info").json()

    def file(self, name: str) -> Path:
        """Where it put the file."""
        return self._folder / "done" / name

    def _answers(self) -> bool:
        try:
            return self._get("app/version").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _get(self, path: str, **params: str) -> httpx.Response:
        return httpx.get(f"{self._api}/{path}", params=params, trust_env=False, timeout=10)


class Aria2:
    """aria2c, which ends when it has everything; a piece that fails its hash is in its log."""

    name = "aria2"

    def __init__(self, processes: Processes, folder: Path, *, host: str, crypto: bool = False) -> None:
        """Prepare; *crypto*: it talks encrypted only."""
        folder.mkdir()
        self._processes = processes
        self._folder = folder
        self._host = host
        self._crypto = crypto
        self._program = need("aria2c")
        self._process: Any = None

    def add(self, torrent: Path) -> None:
        """Begin to fetch *torrent*."""
        self._process = self._processes.start(
            self._program,
            f"--dir={self._folder}",
            "--enable-dht=false",
            "--enable-dht6=false",
            "--bt-enable-lpd=false",
            "--seed-time=0",
            f"--interface={self._host}",
            f"--bt-require-crypto={str(self._crypto).lower()}",
            "--listen-port=6950",
            f"--log={self._folder}/log",
            "--log-level=notice",
            str(torrent),
            env=_home(self._folder),
        )

    def done(self) -> bool:
        """It ended well."""
        code = self._process.poll()
        assert code in {None, 0}, (self._folder / "log").read_text()[-2000:]
        return code == 0

    def failures(self) -> int:
        """Pieces that failed their hash."""
        return (self._folder / "log").read_text().lower().count("hash check failed")

    def state(self) -> str:
        """The end of its log."""
        return (self._folder / "log").read_text()[-500:]

    def file(self, name: str) -> Path:
        """Where it put the file."""
        return self._folder / name


def _home(folder: Path) -> dict[str, str]:
    """An environment without the user's own settings."""
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}


CLIENTS = (Transmission, QBittorrent, Aria2)


def installed() -> list[str]:
    """Which of them are here."""
    return [c for c in ("transmission-daemon", "qbittorrent-nox", "aria2c") if shutil.which(c)]
