"""What proofs are tested with: a torrent of random bytes, who asks about it, and who holds it."""

import random
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha1
from pathlib import Path

import libtorrent as lt

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.domain.pieces import Bytes, Layout, PieceRange
from smartnode.domain.proof import Block, Challenge, Question
from smartnode.metainfo import bencode
from smartnode.metainfo.blocks import choose
from smartnode.swarm.observer import Eyes
from smartnode.swarm.probe import Manners

PIECE = 3 << 14
COUNT = 24
PAYLOAD = random.Random(5).randbytes(PIECE * COUNT - 20_000)
LAYOUT = Layout(total_size=Bytes(len(PAYLOAD)), piece_length=Bytes(PIECE))
WHOLE = PieceRange(first=0, last=COUNT - 1)
HOLDER, ASKER = b"-SN0001-holderholder", NodeId(b"-SN0001-askeraskeras")
CLIENT = "smartnode/7 (d4c/1)"
PROVER_HOST = "127.0.9.2"


def metainfo() -> bytes:
    """The .torrent of the payload."""
    pieces = b"".join(
        sha1(PAYLOAD[n : n + PIECE], usedforsecurity=False).digest() for n in range(0, len(PAYLOAD), PIECE)
    )
    info = {b"length": len(PAYLOAD), b"name": b"file.bin", b"piece length": PIECE, b"pieces": pieces}
    return bencode.encode({b"info": info})


def hash_of_it() -> InfoHash:
    """Its info-hash."""
    return InfoHash(str(lt.load_torrent_buffer(metainfo()).info_hashes.v1))


HASH = hash_of_it()


def eyes(*, allow_private: bool = True, network_id: str = "d4c", deadline_s: float = 10.0) -> Eyes:
    """Who asks: a node whose session has the same address."""
    manners = Manners(client=CLIENT, local_host=PROVER_HOST, deadline_s=deadline_s, settle_s=0.2)
    return Eyes(
        node_id=ASKER,
        network_id=network_id,
        manners=manners,
        allow_private=allow_private,
        memory=timedelta(hours=72),
    )


def answer(block: Block) -> bytes:
    """The bytes of a block as our own verified copy has them."""
    start = block.piece * PIECE + block.begin
    return PAYLOAD[start : start + block.length]


def challenge(pieces: PieceRange = WHOLE, *, holder: bytes = HOLDER, dice: random.Random | None = None) -> Challenge:
    """Three random blocks of *pieces*."""
    blocks = choose(LAYOUT, pieces, dice or random.SystemRandom())
    questions = tuple(Question(block=b, answer=answer(b)) for b in blocks)
    return Challenge(info_hash=HASH, layout=LAYOUT, holder=holder, pieces=pieces, questions=questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """One torrent in one real session."""

    session: lt.session
    handle: lt.torrent_handle


def seed(session: lt.session, folder: Path, pieces: set[int] | None = None, payload: bytes = PAYLOAD) -> Seeded:
    """Let *session* hold *pieces* of the torrent (None: all) without looking at *payload*, which is on its disk."""
    folder.mkdir(exist_ok=True)
    (folder / "file.bin").write_bytes(payload)
    params = lt.load_torrent_buffer(metainfo())
    params.save_path = str(folder)
    params.flags = params.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    params.have_pieces = [pieces is None or n in pieces for n in range(COUNT)]
    params.piece_priorities = [4 if pieces is None or n in pieces else 0 for n in range(COUNT)]
    return Seeded(session=session, handle=session.add_torrent(params))
