"""Many small torrents that a node held before, and a tracker whose every announce is counted."""

import hashlib
import os
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import libtorrent as lt

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.metainfo.resume import write_resume

ANNOUNCE, STARTED, STOPPED = 1, 2, 3
PIECE = 16384


@dataclass(frozen=True, kw_only=True)
class Announce:
    """One announce by UDP (BEP 15) as it passed; *event*: 0 none, 1 completed, 2 started, 3 stopped; *address*: what
    the node says of itself, 0 = nothing.
    """

    at: float
    info_hash: InfoHash
    event: int
    address: int


@dataclass
class Relay:
    """Stands before a UDP tracker, counts, and passes on; while *dead* it swallows everything. *answer_connects*: no
    tracker is behind it.
    """

    host: str
    port: int
    behind: tuple[str, int]
    seen: list[Announce] = field(default_factory=list)
    packets: int = 0
    dead: bool = False
    answer_connects: bool = False

    def __post_init__(self) -> None:
        """Run until closed."""
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._front.bind((self.host, self.port))
        self._back: dict[tuple[str, int], socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to announce."""
        return f"udp://{self.host}:{self.port}/announce"

    def busiest_second(self) -> int:
        """Return the most announces that passed within one second."""
        times, most, first = [each.at for each in self.seen], 0, 0
        for last, at in enumerate(times):
            while at - times[first] >= 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most

    def heard_of(self) -> Counter[InfoHash]:
        """Return how often each torrent was announced."""
        return Counter(each.info_hash for each in self.seen)

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()
        for one in (self._front, *self._back.values()):
            one.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                if key.data is None:
                    self._ask()
                else:
                    self._front.sendto(key.fileobj.recv(4096), key.data)  # type: ignore[union-attr]

    def _ask(self) -> None:
        packet, client = self._front.recvfrom(4096)
        self.packets += 1
        if len(packet) >= 98 and struct.unpack(">I", packet[8:12])[0] == ANNOUNCE:
            event, address = struct.unpack(">II", packet[80:88])
            key = InfoHash(packet[16:36].hex())
            self.seen.append(Announce(at=time.monotonic(), info_hash=key, event=event, address=address))
        elif self.answer_connects:
            self._front.sendto(bytes(4) + packet[12:16] + bytes(8), client)
        if self.dead or self.answer_connects:
            return
        back = self._back.get(client)
        if back is None:
            back = self._back[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self.behind)
            self._selector.register(back, selectors.EVENT_READ, client)
        back.send(packet)


def held_before(folder: Path, trackers: list[str], count: int, *, pieces: int = 1) -> list[InfoHash]:
    """Write the state and data of a node that holds *count* torrents of a few small *pieces*; return their keys."""
    resume, found = folder / "state" / "resume", []
    resume.mkdir(parents=True)
    for number in range(count):
        content = os.urandom((pieces - 1) * PIECE + 64)
        hashed = [hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, len(content), PIECE)]  # noqa: S324 -- BEP 3
        info = {
            b"name": b"x.bin",
            b"piece length": PIECE,
            b"length": len(content),
            b"pieces": b"".join(hashed),
        }
        params = lt.load_torrent_buffer(lt.bencode({b"info": info}))
        key = InfoHash(str(params.info_hashes.v1))
        params.have_pieces = [True] * pieces
        params.piece_priorities = [4] * pieces
        params.trackers = trackers
        params.tracker_tiers = list(range(len(trackers)))
        place = folder / "data" / "c" / f"{number}~{key[:8]}"
        place.mkdir(parents=True)
        (place / "x.bin").write_bytes(content)
        params.save_path = str(place)
        (resume / f"{key}.resume").write_bytes(write_resume(params, ItemKey(collection="c", id=str(number))))
        found.append(key)
    (resume / "clean").touch()
    return found
