"""A web seed counts as a mirror only while it was seen to serve the bytes of this very version; otherwise one line says
why not.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smartnode.domain.identity import InfoHash


class MirrorState(StrEnum):
    """What is known of one web seed of one torrent."""

    LIVE = "live"  # answered 206 with the right length, and a piece of it had the right hash
    WAITING = "waiting"  # failed in a way that may pass (429, 5xx, refused, stalled); asked again at `until`
    GONE = "gone"  # 404 or 410: reported, asked again rarely
    REFUSED = "refused"  # answers, but cannot be a web seed: no ranges, another length, encoded; asked again rarely
    BANNED = "banned"  # sent a wrong byte; asked again rarely, and then for several pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One web seed (BEP 19) of one torrent. *url* is what the catalogue or the .torrent names, percent-encoded;
    *target* where its redirects ended, which is what the engine is given.

    *reason*: one line, empty when live. *checked_at*: the last answer or failure. *hashed_at*: when a piece of it last
    had the right hash. *until*: not asked before. *failures*: in a row. *validator*: its ETag, else Last-Modified, at
    *hashed_at*: other validators, other bytes.
    """

    info_hash: InfoHash
    url: str
    state: MirrorState
    target: str
    reason: str = ""
    checked_at: datetime
    hashed_at: datetime | None = None
    until: datetime | None = None
    failures: int = 0
    validator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFailure:
    """The engine gave a web seed up. *url*: as the engine was given it; *banned*: it sent a wrong byte."""

    info_hash: InfoHash
    url: str
    text: str
    banned: bool
