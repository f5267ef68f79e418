"""Blocks are read from the files as they lie, past the session: what is returned is what the files hold, or nothing.

The files are looked at first: a file that was cut short or has a hole where a held piece should be gives no block, so
that nobody is measured by bytes that we lost. Bytes that were changed inside a file are not noticed, as everywhere.
Everything here blocks and belongs in a thread.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from smartnode.domain.pieces import Bitfield, Layout
from smartnode.domain.proof import Block
from smartnode.engine.integrity import lost_pieces
from smartnode.errors import EngineError
from smartnode.metainfo.extents import first_byte, spans_of
from smartnode.metainfo.read import Metainfo

_CURE = "the node looks at its files when it starts: restart it, or restore the file"


def pieces_of(layout: Layout, blocks: Sequence[Block]) -> Bitfield:
    """Return the pieces that *blocks* lie in; EngineError when one of them leaves its piece or the torrent."""
    for block in blocks:
        start = block.piece * layout.piece_length
        end = min(start + layout.piece_length, layout.total_size)
        if block.piece < 0 or block.begin < 0 or block.length <= 0 or start + block.begin + block.length > end:
            message = f"{block.length} bytes of {block} leave the piece"
            raise EngineError(message, cure="cut blocks by the torrent's own layout")
    return Bitfield.from_indices((block.piece for block in blocks), layout.num_pieces)


def read_blocks(folder: Path, metainfo: Metainfo, blocks: Sequence[Block]) -> list[bytes]:
    """Return the bytes of each of *blocks*, in order, from the files below *folder*; EngineError when one of their
    pieces is no longer there.
    """
    lost = lost_pieces(folder, metainfo, pieces_of(metainfo.layout, blocks))
    if lost.count():
        message = f"piece {lost.indices()[0]} of {metainfo.name!r} is not in its file any more"
        raise EngineError(message, cure=_CURE)
    found = []
    for block, spans in spans_of(metainfo, blocks):
        data = bytearray(block.length)  # a pad file (BEP 47) counts as zeros
        for span in spans:
            at = span.file.offset + span.start - first_byte(metainfo, block)
            data[at : at + span.end - span.start] = _bytes(folder / span.file.path, span.start, span.end)
        found.append(bytes(data))
    return found


def _bytes(path: Path, start: int, end: int) -> bytes:
    """Return bytes *start* to *end* (excluded) of the file."""
    data = b""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while len(data) < end - start and (
                more := os.pread(descriptor, end - start - len(data), start + len(data))
            ):
                data += more
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{path.name} cannot be read: {error.strerror}"
        raise EngineError(message, cure=_CURE) from error
    if len(data) < end - start:
        message = f"{path.name} ends at {start + len(data)}, before byte {end}"
        raise EngineError(message, cure=_CURE)
    return data
