"""Siblings never count twice, whatever they are known by; naming one never makes a holder more."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import NODE_ID_PREFIX, NodeId, node_id
from smartnode.domain.swarm import Address
from smartnode.planning.siblings import NO_SIBLINGS, OPERATOR, Siblings

HOSTS = ["198.51.100.1", "198.51.100.2", "203.0.113.1", "203.0.113.9", "192.0.2.1", "2001:db8:1::1", "2001:db8:1:2::1"]
HOSTS += ["2001:db8:2::1"]


def name(number: int) -> NodeId:
    """The id of node *number*."""
    return node_id(NODE_ID_PREFIX + number.to_bytes(12, "big"))


NAMES = st.lists(st.sampled_from([*(name(n).hex() for n in range(8)), *HOSTS, "203.0.113.0/24", "2001:db8:1::/48"]))
SWARMS = st.dictionaries(
    st.integers(0, 7).map(name), st.sampled_from(HOSTS).map(lambda h: Address(host=h, port=1)), max_size=8
)


def test_known_by_id_address_or_network() -> None:
    """Each name alone makes a node a sibling; capitals do not matter, and no other node is one."""
    at = Address(host="203.0.113.9", port=7)
    for said in (name(1).hex(), name(1).hex().upper(), "203.0.113.9", "203.0.113.8/31"):
        assert Siblings.of([said]).include(name(1), at), said
    for said in (name(2).hex(), "203.0.113.8", "2001:db8::/32"):
        assert not Siblings.of([said]).include(name(1), at), said
    assert Siblings.of(["fe80::/10"]).include(name(1), Address(host="fe80::7%eth0", port=7))
    assert not NO_SIBLINGS.include(name(1), at)


@pytest.mark.parametrize(
    "said", ["", "ab" * 19, "ab" * 21, "zz" * 20, "  " + "ab" * 19, "203.0.113.7/24", "node.example", "203.0.113.7:1"]
)
def test_what_names_no_node_is_a_mistake(said: str) -> None:
    """The error repeats it and says what would do."""
    with pytest.raises(ValueError, match="names no node, use the 40 hex digits") as caught:
        Siblings.of([name(1).hex(), said])
    assert repr(said) in str(caught.value)


@given(NAMES, SWARMS)
def test_siblings_are_one(said: list[str], seen: dict[NodeId, Address]) -> None:
    """All siblings and all who share a network with one are one group; everybody else is grouped by network alone."""
    siblings = Siblings.of(said)
    groups = siblings.groups(seen)
    assert groups.keys() == seen.keys()
    theirs = {address.network for node, address in seen.items() if siblings.include(node, address)}
    for node, address in seen.items():
        assert groups[node] == (OPERATOR if address.network in theirs else address.network)


@given(NAMES, NAMES, SWARMS, st.randoms(use_true_random=False))
def test_naming_more_never_counts_more(
    said: list[str], more: list[str], seen: dict[NodeId, Address], dice: Any
) -> None:
    """However many are named, the groups become no more, no two that were one come apart, and order does not matter."""
    before, after = Siblings.of(said).groups(seen), Siblings.of([*said, *more]).groups(seen)
    assert len(set(after.values())) <= len(set(before.values()))
    assert all(after[a] == after[b] for a in seen for b in seen if before[a] == before[b])
    names, shuffled = [*said, *more], list(seen.items())
    dice.shuffle(names)
    dice.shuffle(shuffled)
    assert Siblings.of(names).groups(dict(shuffled)) == after
