"""No eviction relies on a peer that lies, replays or multiplies itself, while those that rely on honest holders go on;
checked from outside, by what the hostile peers were asked and by what lies in the nodes' files.

| attack | item that only the attacker "holds" |
|---|---|
| a tracker that counts nine seeds, none of whom exists | counted.bin |
| a full bitfield, and a choke for ever | choking.bin |
| a full bitfield, an unchoke, and silence | silent.bin |
| a full bitfield, and random bytes | babbling.bin |
| three blocks kept from when it was asked before, silence else | replayed.bin |
| the same, one of them in place of any other | shifted.bin |
| two Sybils of one /24 without data | sybil.bin |
| two Sybils of one /24 that fetch what they are asked for from a client that obeys no guard | relayed.bin |

All ids are well-formed, of our network, and ground to outrank the victim for the epochs to come. HONEST is held by two
honest nodes, and claimed by liars too. One proved holder is enough, since a mirror lives; relayed.bin has none and
needs two: the Sybils prove themselves, and count as one. The tracker lies about every item.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from smartnode import __version__
from smartnode.domain.identity import NodeId, client_of
from smartnode.domain.swarm import Address
from tests.attacks.hostile import SEEDS, Relay, Replayer, Underworld, babble, ground, silence
from tests.attacks.scene import EPOCH_S, HONEST, RELAYED, Scene, next_epoch, scene
from tests.nodes import MIB, wait_for
from tests.strangers import Stranger

PIECES = {
    HONEST: 12,
    "counted.bin": 1,
    "choking.bin": 1,
    "silent.bin": 1,
    "babbling.bin": 1,
    "replayed.bin": 1,
    "shifted.bin": 1,
    "sybil.bin": 2,
    RELAYED: 1,
}
CLAIMS = {
    "choking.bin": ("choking.bin", HONEST, RELAYED),
    "silent.bin": ("silent.bin", HONEST),
    "babbling.bin": ("babbling.bin", HONEST),
    "replayed.bin": ("replayed.bin",),
    "shifted.bin": ("shifted.bin",),
    "sybil.bin": ("sybil.bin", HONEST),
    RELAYED: (RELAYED,),
}
"""What each kind of liar says that it holds."""
SYBILS = {"sybil.bin", RELAYED}
QUOTA = MIB // 4
"""So little that everything is to go."""
Loose = dict[str, list[Stranger]]


def attack(at: Scene, under: Underworld, epochs: range) -> Loose:
    """Let all liars loose, each kind in a /24 of its own that no earlier one had."""
    loose: Loose = {}
    for number, (name, claims) in enumerate(CLAIMS.items()):
        for sybil in range(1, 3 if name in SYBILS else 2):
            host = f"127.{101 + number}.{epochs[0] % 250}.{sybil}"
            stranger = liar(name, at, host)(
                peer_id=highest(at, claims, epochs, seed=f"{epochs} {sybil}"), client=client_of(__version__, "e2e")
            )
            under.let_loose(stranger, host, map(at.torrent, claims))
            loose.setdefault(name, []).append(stranger)
    return loose


def highest(at: Scene, claims: Sequence[str], epochs: range, *, seed: str) -> NodeId:
    """An id that outranks the victim for *epochs*, where the draw makes that too costly for the first of them."""
    tries = (ground(at.victims_id, at.targets(claims, part), f"{seed} {claims}") for part in (epochs, epochs[:1]))
    return next(found for found in tries if found is not None)


def liar(name: str, at: Scene, host: str) -> Callable[..., Stranger]:
    """Make what claims an item."""
    match name:
        case "choking.bin":
            return partial(Stranger, serve=silence, unchokes=b"")
        case "babbling.bin":
            return partial(Stranger, serve=babble)
        case "replayed.bin" | "shifted.bin":
            there = Address(host=at.victim.host, port=at.victim.status()["listen_port"])
            return partial(Replayer, serve=silence, source=at.source(name, there, host), shifts=name == "shifted.bin")
        case "relayed.bin":
            return partial(Relay, serve=silence, source=at.source(name, at.foreign, host))
        case _:
            return partial(Stranger, serve=silence)


def asked(stranger: Stranger) -> int:
    """How often it was asked for a proof: the sessions of smartnodes, whose ids are well-formed, lack nothing."""
    return sum(not peer_id.startswith(b"-SN") for peer_id in stranger.interested)


def under_attack(loose: Loose) -> bool:
    """Each kind of liar was asked for a proof since it was let loose, those who replay a second time as well."""
    requests = {name: sum(len(each.asked) for each in strangers) for name, strangers in loose.items()}
    answered = requests[RELAYED] >= 3 and min(requests["replayed.bin"], requests["shifted.bin"]) > 3
    return answered and all(any(map(asked, strangers)) for strangers in loose.values())


def is_counted(at: Scene, under: Underworld) -> bool:
    """The victim heard of nine seeds of what nobody else has."""
    scrape = at.why("counted.bin")["view"]["scrape"]
    return at.torrent("counted.bin") in under.counted and scrape is not None and scrape["complete"] == SEEDS


def two_cycles(at: Scene) -> None:
    """Wait until whatever was proved has had its time to go."""
    before = at.victim.status()["cycle"]
    wait_for("two more cycles", lambda: at.victim.status()["cycle"] >= before + 2)


def judge(at: Scene) -> None:
    """Only what honest nodes hold went, the rest is said to wait, and every piece lies whole somewhere."""
    assert set(at.evicted()) == {HONEST}
    for name in PIECES.keys() - {HONEST}:
        entries = at.why(name)["plan"]["evict"]
        assert [(each["permitted"], each["because"]["rule"]) for each in entries] == [(False, "over_quota")], name
    for node in at.nodes:
        assert node.stop()
    for name, count in PIECES.items():
        everything = set(range(count))
        victim, *others = (at.on_disk(node, name) for node in at.nodes)
        if name == HONEST:
            assert victim < everything, "nothing went"
            assert others == [everything, everything]
        else:
            assert victim == everything, name


def besiege(at: Scene, under: Underworld) -> Loose:
    """Begin with an epoch: let all liars loose for two, and lower the quota of the victim."""
    epoch = next_epoch()
    loose = attack(at, under, range(epoch, epoch + 2))
    at.shrink(QUOTA)
    return loose


@pytest.mark.timeout(240)
def test_no_eviction_relies_on_a_liar(tmp_path: Path) -> None:
    """All attacks at once: one epoch, two when the victim is the lowest-ranked holder of nothing in the first."""
    with Underworld() as under, scene(tmp_path, under, PIECES, first=101) as at:
        loose = besiege(at, under)
        wait_for("what honest nodes hold", lambda: HONEST in at.evicted(), deadline_s=2 * EPOCH_S)
        wait_for("all the liars", lambda: under_attack(loose))
        wait_for("the tracker's counts", lambda: is_counted(at, under))
        two_cycles(at)
        judge(at)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_liars_come_back_in_every_epoch(tmp_path: Path, seed: int) -> None:
    """Five epochs, in each of them all attacks anew from other networks, with ids ground for that epoch alone."""
    with Underworld() as under, scene(tmp_path, under, PIECES, first=101, seed=seed) as at:
        at.shrink(QUOTA)
        gone = []
        for _ in range(5):
            epoch = next_epoch()
            under.clear()
            loose = attack(at, under, range(epoch, epoch + 1))
            wait_for(f"all the liars of epoch {epoch}", partial(under_attack, loose), deadline_s=EPOCH_S + 5)
            gone.append(len(at.evicted().get(HONEST, [])))
        two_cycles(at)
        assert len(set(gone)) > 1, "what honest nodes hold went on going"
        judge(at)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_restart_forgives_no_liar(tmp_path: Path) -> None:
    """Who lied before the victim was killed is not asked by it again, while those who kept silent are."""
    with Underworld() as under, scene(tmp_path, under, PIECES, first=101) as at:
        loose = besiege(at, under)
        (babbling,), (choking,) = loose["babbling.bin"], loose["choking.bin"]
        wait_for("all the liars", lambda: under_attack(loose), deadline_s=2 * EPOCH_S)
        two_cycles(at)
        at.victim.kill()
        before = asked(babbling), asked(choking)
        at.victim.start()
        wait_for("a proof asked for again", lambda: asked(choking) > before[1], deadline_s=2 * EPOCH_S)
        two_cycles(at)
        assert asked(babbling) == before[0]
        judge(at)
