"""Which good rows of a catalogue of any size are brought home: all that is held, and one slice of the rest.

Laws: a torrent that is held always comes along; of the other torrents every one comes along within ``slices(rows)``
consecutive slice numbers of an unchanged file; at most *cap* rotating and *cap* held rows come along, and rows without
a torrent only where room is left. The number of slices is a power of two, so that rows added at the end of a file do
not move the others between slices.
"""

from dataclasses import dataclass

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash

DEFAULT_CAP = 20_000
MAX_REJECTIONS = 1000  # listed; all are counted
MAX_LINE_BYTES = 1 << 20  # of one row on its way home


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the caller wants of a catalogue: *held* torrents and the slice *slice_number* (any whole number >= 0)."""

    cap: int = DEFAULT_CAP
    held: frozenset[InfoHash] = frozenset()
    slice_number: int = 0

    def slices(self, rows: int) -> int:
        """Return how many slices a file of *rows* rows has, at least 1."""
        needed = -(-rows // self.cap)
        return 1 << max(0, needed - 1).bit_length()


class Picker:
    """One pass over the good rows in file order, for a file that has at most *rows* of them."""

    def __init__(self, selection: Selection, rows: int) -> None:
        self._selection = selection
        self._slices = selection.slices(rows)
        self._slice = selection.slice_number % self._slices
        self._torrents = 0
        self.held = 0
        self.rotating = 0

    def picks(self, item: Item) -> bool:
        """Whether this row, the next one in the file, comes along; rows without a torrent are not asked about."""
        assert item.torrent is not None
        number = self._torrents
        self._torrents += 1
        if item.torrent.info_hash in self._selection.held and self.held < self._selection.cap:
            self.held += 1
            return True
        if number % self._slices == self._slice and self.rotating < self._selection.cap:
            self.rotating += 1
            return True
        return False

    @property
    def room(self) -> int:
        """Rows without a torrent that may still come along, once all rows were seen."""
        return max(0, self._selection.cap - self.held - self.rotating)
