"""Names are checked once, at the door, and then never again."""

from datetime import UTC, datetime

import pytest

from smartnode.domain.catalogue import Torrent
from smartnode.domain.holding import Holding
from smartnode.domain.identity import (
    NODE_ID_PREFIX,
    InfoHash,
    ItemKey,
    client_of,
    info_hash,
    is_prober,
    is_smartnode,
    node_id,
    prober_of,
)
from smartnode.domain.pieces import Bitfield, Bytes, Layout
from smartnode.domain.swarm import Address, Holder, SwarmView, Witness


def test_info_hash() -> None:
    """40 hex digits of either case are an info-hash, in lower case; nothing else is."""
    assert info_hash("AB" * 20) == "ab" * 20
    for wrong in ("", "ab" * 19, "ab" * 21, "zz" * 20, "ab" * 20 + "\n"):
        with pytest.raises(ValueError, match="not an info-hash"):
            info_hash(wrong)


def test_node_id() -> None:
    """20 bytes, no more and no less, are a node id."""
    assert node_id(NODE_ID_PREFIX + bytes(12)).startswith(b"-SN0001-")
    for wrong in (b"", bytes(19), bytes(21)):
        with pytest.raises(ValueError, match="20 bytes"):
            node_id(wrong)


def test_who_is_a_smartnode() -> None:
    """Only the exact network and protocol version make a smartnode; untrusted text never raises."""
    assert is_smartnode(client_of("0.1.0", "d4c"), "d4c")
    assert not is_smartnode(client_of("0.1.0", "d4c"), "d4")
    assert not is_smartnode(client_of("0.1.0", "d4c"), "d4c", protocol_version=2)
    for text in (None, "", "smartnode/1 (d4c/x)", "qBittorrent/5", "\0smartnode/1 (d4c/1)", "smartnode/1 (d4c/1) "):
        assert not is_smartnode(text, "d4c")


def test_who_only_looks() -> None:
    """A wire probe is known by its name, is no smartnode, and no smartnode is taken for one."""
    assert is_prober(prober_of("0.1.0"))
    assert not is_smartnode(prober_of("0.1.0"), "d4c")
    for text in (None, "", client_of("0.1.0", "d4c"), "smartnode/1 (probe/1)", "smartnode/ probe", "qBittorrent probe"):
        assert not is_prober(text)


def test_item_key() -> None:
    """Keys are told apart by both parts, sort by collection, and spell as collection/id."""
    assert str(ItemKey(collection="c", id="i")) == "c/i"
    assert str(ItemKey(collection="", id="i")) == "i"
    assert ItemKey(collection="a", id="z") < ItemKey(collection="b", id="a")


def test_address() -> None:
    """IPv6 stands in brackets."""
    assert str(Address(host="10.0.0.1", port=5)) == "10.0.0.1:5"
    assert str(Address(host="::1", port=5)) == "[::1]:5"


def test_torrent_layout_needs_a_piece_length() -> None:
    """Without a piece length there is no cut; with one it is that of the size."""
    values = {"info_hash": InfoHash("a" * 40), "info_hash_v1": "a" * 40, "info_hash_v2": None, "size": Bytes(25)}
    assert Torrent(**values, piece_length=None, name=None, metainfo_url=None).layout is None
    layout = Torrent(**values, piece_length=Bytes(10), name=None, metainfo_url=None).layout
    assert layout == Layout(total_size=Bytes(25), piece_length=Bytes(10))


def test_holding_counts() -> None:
    """In flight is wanted and not held; a piece held and not wanted is held."""
    layout = Layout(total_size=Bytes(25), piece_length=Bytes(10))
    have, wanted = Bitfield.from_indices([0], 3), Bitfield.from_indices([1, 2], 3)
    holding = Holding(info_hash=InfoHash("a" * 40), layout=layout, have=have, wanted=wanted)
    assert (holding.missing, holding.held_bytes, holding.in_flight_bytes) == (wanted, 10, 15)


def test_never_looked_is_not_nobody() -> None:
    """A view that was never looked at says None where an empty swarm says a time."""
    never = SwarmView(info_hash=InfoHash("a" * 40), looked_at=None, witness=None)
    assert (never.looked_at, never.mirrors, never.holders) == (None, None, ())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    holder = Holder(
        address=Address(host="::1", port=1),
        peer_id=bytes(20),
        client=None,
        smartnode=False,
        pieces=Bitfield.full(3),
        first_seen=now,
        last_contact=now,
        progressed_at=None,
        witness=Witness.DHT,
    )
    with pytest.raises(AttributeError):
        holder.smartnode = True  # type: ignore[misc]  # the law under test: values are frozen
