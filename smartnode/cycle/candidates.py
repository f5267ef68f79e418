"""What a cycle may place: every item of the snapshot that does not wait after a failure, cut as far as its cut is
known. What the volunteer excluded or did not select costs no look and no request.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smartnode.cycle.backoff import Backoff, Failure
from smartnode.cycle.metainfos import LAYOUTS_PER_CYCLE, Metainfos
from smartnode.domain.catalogue import Item
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash
from smartnode.domain.pieces import Bytes, Layout
from smartnode.domain.plan import Because, PlanEntry, Rule
from smartnode.domain.wishes import Wishes
from smartnode.planning.policy import Candidate
from smartnode.planning.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The candidates of a cycle, the items that wait, the cut of every torrent that is held or may be fetched, as far
    as it is known, and the item of each torrent.
    """

    candidates: tuple[Candidate, ...]
    waiting: tuple[PlanEntry, ...]
    layouts: dict[InfoHash, Layout]
    items: dict[InfoHash, Item]


async def read_unknown_cuts(
    items: Sequence[Item],
    metainfos: Metainfos,
    backoff: Backoff,
    *,
    wishes: Wishes,
    selection: Selection,
    now: datetime,
) -> None:
    """Read a few .torrent files of items whose catalogue row does not say how they are cut, pinned ones first."""
    unknown = [
        item
        for item in items
        if item.torrent is not None
        and item.torrent.layout is None
        and metainfos.layout(item.torrent.info_hash) is None
        and backoff.waiting(item.torrent.info_hash, now) is None
        and item.torrent.info_hash not in wishes.excluded
        and (item.torrent.info_hash in wishes.pinned or selection.refusal(item) is None)
    ]
    if unknown:
        unknown.sort(key=lambda item: item.torrent is None or item.torrent.info_hash not in wishes.pinned)
        await metainfos.read(unknown[:LAYOUTS_PER_CYCLE], now)


def survey(
    items: Sequence[Item],
    *,
    holdings: Mapping[InfoHash, Holding],
    metainfos: Metainfos,
    backoff: Backoff,
    wishes: Wishes,
    selection: Selection,
    now: datetime,
) -> Field:
    """Return the field of this cycle. A torrent that waits is no candidate; what is held of it is kept all the
    same.
    """
    candidates: list[Candidate] = []
    waiting: list[PlanEntry] = []
    layouts = layouts_of(holdings)
    for item in items:
        torrent = item.torrent
        if torrent is None:
            candidates.append(Candidate(item=item, layout=None))
            continue
        layout = torrent.layout or metainfos.layout(torrent.info_hash)
        unselected = selection.refusal(item) if torrent.info_hash not in wishes.pinned else None
        if torrent.info_hash in wishes.excluded or unselected is not None:
            candidates.append(Candidate(item=item, layout=layout, unselected=unselected))
            continue
        failure = backoff.waiting(torrent.info_hash, now)
        if failure is not None:
            waiting.append(_waiting(item, failure, torrent.size))
            continue
        if layout is not None:
            layouts.setdefault(torrent.info_hash, layout)
        candidates.append(Candidate(item=item, layout=layout))
    return Field(candidates=tuple(candidates), waiting=tuple(waiting), layouts=layouts, items=by_info_hash(items))


def layouts_of(holdings: Mapping[InfoHash, Holding]) -> dict[InfoHash, Layout]:
    """Return the cut of every torrent that is held."""
    return {info_hash: holding.layout for info_hash, holding in holdings.items()}


def by_info_hash(items: Iterable[Item]) -> dict[InfoHash, Item]:
    """Key items by their torrent; of several with one torrent the first by key names it, as in the plan."""
    found: dict[InfoHash, Item] = {}
    for item in sorted(items, key=lambda i: i.key):
        if item.torrent is not None:
            found.setdefault(item.torrent.info_hash, item)
    return found


def _waiting(item: Item, failure: Failure, size: Bytes) -> PlanEntry:
    return PlanEntry(
        item=item.key,
        info_hash=item.torrent.info_hash if item.torrent else None,
        segments=(),
        bytes=size,
        item_bytes=size,
        because=Because(
            rule=Rule.FAILED,
            text=f"failed ({failure.reason}), tried again after {failure.until:%Y-%m-%dT%H:%M:%SZ}",
            evidence={"reason": failure.reason, "times": failure.times, "until": failure.until.isoformat()},
        ),
    )
