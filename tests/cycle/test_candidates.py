"""What a cycle considers: what was excluded or not selected costs nothing, what is pinned comes first."""

from datetime import UTC, datetime
from typing import Any

from smartnode.cycle.backoff import Backoff
from smartnode.cycle.candidates import Field, read_unknown_cuts, survey
from smartnode.cycle.metainfos import LAYOUTS_PER_CYCLE, Metainfos
from smartnode.domain.catalogue import Item, Snapshot, Torrent
from smartnode.domain.holding import Holding
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.wishes import NO_WISHES, Wishes
from smartnode.errors import MetainfoError
from smartnode.metainfo.read import Metainfo
from smartnode.planning.selection import EVERYTHING, Selection

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = Layout(total_size=Bytes(640), piece_length=Bytes(10))


class Refusing:
    """A catalogue room that has no snapshot and no .torrent file, and remembers which were asked for."""

    def __init__(self) -> None:
        """Begin without a question."""
        self.asked: list[str] = []

    def current(self) -> Snapshot | None:
        """There is none."""
        return None

    def degraded(self) -> tuple[str, ...]:
        """All is well."""
        return ()

    async def metainfo(self, item: Item) -> Metainfo:
        """Refuse."""
        self.asked.append(item.key.id)
        message = "not here"
        raise MetainfoError(message)


def info_hash(number: int) -> InfoHash:
    """The info-hash *number*."""
    return InfoHash(f"{number:040x}")


def item(number: int, *, piece_length: int | None = 10) -> Item:
    """Item *number* of 64 pieces; None: its row does not say how it is cut."""
    torrent = Torrent(
        info_hash=info_hash(number),
        info_hash_v1=info_hash(number),
        info_hash_v2=None,
        size=LAYOUT.total_size,
        piece_length=None if piece_length is None else Bytes(piece_length),
        name=None,
        metainfo_url=None,
    )
    return Item(key=ItemKey(collection="c", id=f"item{number}"), torrent=torrent)


def surveyed(*items: Item, backoff: Backoff | None = None, **more: Any) -> Field:
    """The field of *items*; nothing is held, failed or wished unless said."""
    failing = backoff or Backoff()
    values: dict[str, Any] = {"holdings": {}, "wishes": NO_WISHES, "selection": EVERYTHING, "now": NOW}
    return survey(items, metainfos=Metainfos(Refusing(), failing), backoff=failing, **(values | more))


def test_excluded_is_declined_by_the_plan_and_never_looked_at() -> None:
    """It stays among the candidates, so that the plan says why it is not fetched, also after a failure; its swarm is
    not looked at, unless something of it is held.
    """
    backoff = Backoff()
    backoff.failed(info_hash(1), "gone", NOW)
    wishes = Wishes(excluded=frozenset({info_hash(1), info_hash(2)}))
    holding = Holding(info_hash=info_hash(2), layout=LAYOUT, have=Bitfield.full(64), wanted=Bitfield.full(64))
    field = surveyed(item(1), item(2), item(3), backoff=backoff, wishes=wishes, holdings={holding.info_hash: holding})
    assert [c.item.key.id for c in field.candidates] == ["item1", "item2", "item3"]
    assert field.waiting == ()
    assert field.layouts.keys() == {info_hash(2), info_hash(3)}
    waiting = surveyed(item(1), backoff=backoff)
    assert (waiting.candidates, len(waiting.waiting)) == ((), 1)


async def test_unknown_cuts_are_read_for_pinned_items_first_and_never_for_excluded_ones() -> None:
    """A few .torrent files per cycle: the volunteer's word says which, then the selection."""
    room = Refusing()
    metainfos = Metainfos(room, Backoff())
    items = [item(number, piece_length=None) for number in range(30)]
    wishes = Wishes(pinned=frozenset({info_hash(29)}), excluded=frozenset(info_hash(n) for n in range(5)))
    selection = Selection(exclude=("item7", "item29"))
    await read_unknown_cuts(items, metainfos, Backoff(), wishes=wishes, selection=selection, now=NOW)
    assert len(room.asked) == LAYOUTS_PER_CYCLE
    assert set(room.asked) == {"item29", "item5", "item6", *(f"item{n}" for n in range(8, 15))}


def test_what_is_not_selected_is_a_candidate_with_its_reason() -> None:
    """The plan is told why; its swarm is not looked at; a pinned item has no such reason."""
    wishes = Wishes(pinned=frozenset({info_hash(2)}))
    field = surveyed(item(1), item(2), item(3), wishes=wishes, selection=Selection(include=("item3",)))
    assert [c.unselected is None for c in field.candidates] == [False, True, True]
    assert field.layouts.keys() == {info_hash(2), info_hash(3)}
