"""What a person reads about web seeds that fail: where, which torrent, why, and when it is asked again; a few lines."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror

LINES_MAX = 5
PLACE_MAX = 80


def lines(failing: Sequence[Mirror], refused: Sequence[tuple[InfoHash, str]], now: datetime) -> tuple[str, ...]:
    """Return at most five lines about web seeds, one about torrents whose web seeds cannot be checked, and one that
    counts the rest.
    """
    said = [
        f"sources: {place(mirror.url)} of {mirror.info_hash[:8]}: {mirror.reason or 'not looked at for long'}, "
        f"asked again {when(mirror, now)}"
        for mirror in failing[:LINES_MAX]
    ]
    said += [f"sources: the web seeds of {info_hash[:8]} are not used: {why}" for info_hash, why in refused[:1]]
    others = max(0, len(failing) - LINES_MAX) + max(0, len(refused) - 1)
    return (*said, f"sources: {others} more do not serve") if others else tuple(said)


def place(url: str) -> str:
    """Return host and path of an address; its query may hold what is not to be told."""
    parts = urlsplit(url)
    text = f"{parts.netloc}{parts.path}"
    return text if len(text) <= PLACE_MAX else f"{text[: PLACE_MAX - 3]}..."


def when(mirror: Mirror, now: datetime) -> str:
    """Return when the web seed is asked again."""
    if mirror.until is None or mirror.until <= now:
        return "at once"
    return f"at {mirror.until:%Y-%m-%dT%H:%M:%SZ}"
