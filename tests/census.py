"""A census of a fleet from outside: the bitfield that each node sends to a stranger, and the bytes in its files.

A piece is a copy when the node's bitfield claims it, before and after, and the file's bytes have the torrent's hash in
between: what a node says of itself in other places is not asked.
"""

import hashlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtorrent as lt
import numpy as np
from numpy.typing import NDArray

from smartnode.metainfo.read import Metainfo
from tests.nodes import COLLECTION, RunningNode, Site

PORT = 6881
STRANGER = "127.0.251.1"
_GREETING = b"\x13BitTorrent protocol" + bytes(7) + b"\x04"  # BEP 6: who has nothing says so, who has all too
_HAVE, _BITFIELD, _HAVE_ALL, _HAVE_NONE = 4, 5, 14, 15

Pieces = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Census:
    """Copies of every piece of the archive, item by item; *false*: pieces that a node claims and lacks."""

    copies: NDArray[np.int64]
    false: int

    @property
    def least(self) -> int:
        """Copies of the rarest piece."""
        return int(self.copies.min())

    @property
    def twice(self) -> float:
        """The share of pieces with two copies or more."""
        return float((self.copies >= 2).mean())

    def __str__(self) -> str:
        """Pieces by their number of copies."""
        return " ".join(f"{count}x{copies}" for copies, count in enumerate(np.bincount(self.copies)) if count)


def bitfields(site: Site, nodes: Sequence[RunningNode]) -> list[list[Pieces]]:
    """What each node claims of each item, as a stranger hears it."""
    return [[_claims(node.host, metainfo) for metainfo in site.torrents.values()] for node in nodes]


def claimed(site: Site, nodes: Sequence[RunningNode]) -> Census:
    """Count what the nodes claim."""
    return Census(copies=_sum(bitfields(site, nodes)), false=0)


def on_disk(site: Site, nodes: Sequence[RunningNode]) -> Census:
    """Count what lies in the files of the nodes, whatever they claim."""
    found = [
        [_good(node.folder / "data", name, metainfo) for name, metainfo in site.torrents.items()] for node in nodes
    ]
    return Census(copies=_sum(found), false=0)


def census(site: Site, nodes: Sequence[RunningNode]) -> Census:
    """Count what the nodes claim and have on their disks."""
    counted, false = [], 0
    for node in nodes:
        before = bitfields(site, [node])[0]
        good = [_good(node.folder / "data", name, metainfo) for name, metainfo in site.torrents.items()]
        after = bitfields(site, [node])[0]
        standing = [a & b for a, b in zip(before, after, strict=True)]
        false += sum(int((claim & ~real).sum()) for claim, real in zip(standing, good, strict=True))
        counted.append([claim & real for claim, real in zip(standing, good, strict=True)])
    return Census(copies=_sum(counted), false=false)


def _sum(held: Sequence[Sequence[Pieces]]) -> NDArray[np.int64]:
    return np.concatenate([np.sum(item, axis=0, dtype=np.int64) for item in zip(*held, strict=True)])


def _claims(host: str, metainfo: Metainfo) -> Pieces:
    """The pieces that the node at *host* says it has of one torrent; none when it does not have the torrent."""
    count = metainfo.layout.num_pieces
    none = np.zeros(count, dtype=np.bool_)
    try:
        with socket.create_connection((host, PORT), timeout=10, source_address=(STRANGER, 0)) as peer:
            stream = peer.makefile("rb")
            peer.sendall(_GREETING + bytes.fromhex(metainfo.info_hash) + os.urandom(20))
            if len(stream.read(68)) < 68:
                return none
            while True:
                kind, body = _frame(stream)
                if kind in {_HAVE_ALL, _HAVE_NONE}:
                    return none | (kind == _HAVE_ALL)
                if kind == _BITFIELD:
                    return np.unpackbits(np.frombuffer(body, dtype=np.uint8))[:count].astype(np.bool_)
    except (ConnectionError, EOFError):
        return none


def _frame(stream: Any) -> tuple[int, bytes]:
    length = int.from_bytes(stream.read(4), "big")
    frame = stream.read(length)
    if len(frame) < max(1, length):
        raise EOFError
    return frame[0], frame[1:]


def _good(root: Path, name: str, metainfo: Metainfo) -> Pieces:
    """Which pieces the file of item *name* really has."""
    layout = metainfo.layout
    info: Any = lt.load_torrent_buffer(metainfo.raw).ti
    good = np.zeros(layout.num_pieces, dtype=np.bool_)
    place = Path(COLLECTION, f"{name}~{metainfo.info_hash[:8]}", name)
    for path in (root / place, root / ".partial" / place):
        if path.exists():
            with path.open("rb") as file:
                for piece in range(layout.num_pieces):
                    digest = hashlib.sha1(file.read(layout.piece_length), usedforsecurity=False).digest()
                    good[piece] |= digest == info.hash_for_piece(piece)
    return good
