"""Bencoded bytes from strangers become plain values or a MetainfoError, never anything else (BEP 3)."""

from typing import Any

import libtorrent as lt

from smartnode.errors import MetainfoError

BENCODE_MAX_BYTES = 64 << 10


def decode(raw: bytes) -> Any:
    """Return ints, bytes, lists and dicts with bytes keys; MetainfoError unless *raw* is one value of at most 64
    KiB.
    """
    if len(raw) > BENCODE_MAX_BYTES:
        message = f"{len(raw)} bencoded bytes are over the limit of {BENCODE_MAX_BYTES}"
        raise MetainfoError(message)
    try:
        return lt.bdecode(raw)
    except (RuntimeError, ValueError) as error:
        message = f"not bencoded: {error}"
        raise MetainfoError(message) from error


def encode(value: Any) -> bytes:
    """Return *value* bencoded: ints, bytes, lists and dicts with bytes keys."""
    return bytes(lt.bencode(value))
