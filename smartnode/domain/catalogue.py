"""What the catalogue says: immutable dataset versions, their torrents and mirrors; every rejected row with its reason.

Field names are STAC's (core 1.1, version 1.2, scientific 1.0, timestamps 1.1, file 2.1, alternate-assets 1.2, storage
1.0) and ``torrent:``. Times are aware UTC datetimes. None means that the row does not say.
"""

from dataclasses import dataclass
from datetime import datetime

from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Torrent:
    """The metainfo that one catalogue row names; the row's claim until the .torrent file itself was checked.

    *info_hash* is the key; *info_hash_v1* and *info_hash_v2* are 40 and 64 lower-case hex digits, at least one is set.
    *metainfo_url* is an http(s) or magnet address. *piece_length* None: known only once the .torrent file was read.
    """

    info_hash: InfoHash
    info_hash_v1: str | None
    info_hash_v2: str | None
    size: Bytes
    piece_length: Bytes | None
    name: str | None
    metainfo_url: str | None
    trackers: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout | None:
        """The cut into pieces, None while the piece length is unknown."""
        return None if self.piece_length is None else Layout(total_size=self.size, piece_length=self.piece_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row of the catalogue: one immutable version of a dataset.

    *priority* is ``torrent:priority`` (0 normal, higher = at risk). *web_seeds* are http(s) URLs of the identical
    payload (BEP 19), the asset's own href first; *places* are (web seed, region) of those whose region the row states
    (storage 1.0, ``storage:region``). *bbox* is (west, south, east, north) in degrees.
    """

    key: ItemKey
    torrent: Torrent | None
    web_seeds: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    title: str | None = None
    version: str | None = None
    doi: str | None = None
    series: str | None = None
    deprecated: bool = False
    unpublished: datetime | None = None
    priority: int = 0
    target_replicas: int | None = None
    bbox: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Row *row* (0-based, in file order) is not used; *id* is None when the row has none."""

    row: int
    id: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One accepted catalogue file as a whole; *sha256* (hex) names the file, *accepted_at* when this node took it.

    *rows* is the number of rows in the file; *items* may be a capped selection of the good ones; *good* and
    *with_torrent* count all of them. *seq* None: unsigned.
    """

    items: tuple[Item, ...]
    rejected: tuple[Rejection, ...]
    rejected_total: int
    rows: int
    good: int
    with_torrent: int
    deprecated: int
    sha256: str
    source: str
    accepted_at: datetime
    seq: int | None = None
    verified: bool = False
