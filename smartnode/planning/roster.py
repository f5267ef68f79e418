"""Each torrent is placed once, under one item; each item that cannot be placed says why.

Of several items with one info-hash the first by (collection, id) among those that can be placed carries the torrent,
whatever order they come in. A torrent that this node holds and no item offers any more stays on the roster, not
offered: absence from a catalogue deletes nothing, and what is on the disk must be visible to eviction. The volunteer's
word is on the torrent: it holds for all of its items, and whether one offers it or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smartnode.domain.catalogue import Item
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes, Layout
from smartnode.domain.plan import Because, PlanEntry, Rule
from smartnode.domain.wishes import Wishes, Word
from smartnode.planning.policy import Candidate
from smartnode.planning.segments import MAX_PIECES, is_plannable

_ENDING = frozenset({Rule.UNPUBLISHED, Rule.EXCLUDED, Rule.NOT_SELECTED})
"""Refusals after which what is on its way is not asked for any more; all others are about what is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One torrent of the plan. *item* None: no item offers it now. *ended*: it is held, and by this rule nothing more
    of it is fetched. *word*: what the volunteer said of it.

    *key* names the item; a torrent without one goes by its info-hash.
    """

    info_hash: InfoHash
    key: ItemKey
    layout: Layout
    item: Item | None
    holding: Holding | None
    ended: Rule | None = None
    word: Word | None = None


def enrol(
    candidates: Sequence[Candidate], holdings: Mapping[InfoHash, Holding], *, wishes: Wishes, now: datetime
) -> tuple[list[Placed], list[PlanEntry]]:
    """Return the torrents by info-hash, and the declined items by key."""
    placed: dict[InfoHash, Placed] = {}
    declined: list[PlanEntry] = []
    refused: list[tuple[InfoHash, Item, Because]] = []
    for candidate in sorted(candidates, key=lambda each: each.item.key):
        item, torrent = candidate.item, candidate.item.torrent
        if torrent is None:
            because = Because(rule=Rule.NO_TORRENT, text="the catalogue names no torrent for this item")
            declined.append(_decline(item, because))
            continue
        holding = holdings.get(torrent.info_hash)
        layout = candidate.layout if holding is None else holding.layout  # what is held was checked
        word = wishes.word(torrent.info_hash)
        refusal = _refusal(candidate, layout, word=word, now=now)
        if refusal is not None:
            refused.append((torrent.info_hash, item, refusal))
        elif torrent.info_hash in placed:
            declined.append(_decline(item, _same_torrent(placed[torrent.info_hash])))
        else:
            assert layout is not None, "_refusal declines what has no layout"
            placed[torrent.info_hash] = Placed(
                info_hash=torrent.info_hash, key=item.key, layout=layout, item=item, holding=holding, word=word
            )
    for info_hash, item, refusal in refused:
        living = placed.get(info_hash)
        declined.append(_decline(item, refusal if living is None else _same_torrent(living)))
    _add_held(placed, refused, holdings, wishes)
    return sorted(placed.values(), key=lambda each: each.info_hash), sorted(declined, key=lambda entry: entry.item)


def _add_held(
    placed: dict[InfoHash, Placed],
    refused: Sequence[tuple[InfoHash, Item, Because]],
    holdings: Mapping[InfoHash, Holding],
    wishes: Wishes,
) -> None:
    """Enrol what is held and not offered, under the first refused item that names it, else under its info-hash."""
    names: dict[InfoHash, tuple[Item, Because]] = {}
    for info_hash, item, because in refused:
        names.setdefault(info_hash, (item, because))
    for info_hash, holding in holdings.items():
        if info_hash not in placed:
            named, word = names.get(info_hash), wishes.word(info_hash)
            rule = named[1].rule if named is not None else None
            if rule not in _ENDING:
                rule = Rule.EXCLUDED if word is Word.EXCLUDED else None
            placed[info_hash] = Placed(
                info_hash=info_hash,
                key=ItemKey(collection="", id=info_hash) if named is None else named[0].key,
                layout=holding.layout,
                item=None,
                holding=holding,
                ended=rule,
                word=word,
            )


def _refusal(candidate: Candidate, layout: Layout | None, *, word: Word | None, now: datetime) -> Because | None:
    """Why *candidate* cannot be placed whatever the room; None when it can. A pin beats the selection."""
    item = candidate.item
    if item.unpublished is not None and item.unpublished <= now:
        text = f"unpublished since {item.unpublished.isoformat()}: it is not fetched; what is held stays and is served"
        return Because(rule=Rule.UNPUBLISHED, text=text, evidence={"unpublished": item.unpublished.isoformat()})
    if word is Word.EXCLUDED:
        text = "excluded by the volunteer: it is not fetched; what is held of it stays, and is the first that may leave"
        return Because(rule=Rule.EXCLUDED, text=text)
    if candidate.unselected is not None and word is not Word.PINNED:
        return candidate.unselected
    if layout is None:
        text = "the piece length is not in the catalogue and the .torrent file has not been read yet"
        return Because(rule=Rule.NO_PIECE_LENGTH, text=text)
    if not is_plannable(layout):
        text = f"{layout.num_pieces} pieces of {layout.piece_length} bytes: no usable cut (at most {MAX_PIECES} pieces)"
        return Because(rule=Rule.NO_PIECE_LENGTH, text=text, evidence={"pieces": layout.num_pieces})
    return None


def _same_torrent(living: Placed) -> Because:
    text = f"the same torrent is placed as {living.key}"
    return Because(rule=Rule.SAME_TORRENT, text=text, evidence={"placed_as": str(living.key)})


def _decline(item: Item, because: Because) -> PlanEntry:
    size = Bytes(0) if item.torrent is None else item.torrent.size
    return PlanEntry(
        item=item.key,
        info_hash=None if item.torrent is None else item.torrent.info_hash,
        segments=(),
        bytes=size,
        item_bytes=size,
        because=because,
    )
