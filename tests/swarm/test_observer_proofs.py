"""The observer's proofs: real sessions prove themselves, and who lied once is not asked again for a day."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libtorrent as lt

from smartnode.domain.identity import InfoHash
from smartnode.domain.proof import Outcome, Verdict
from smartnode.domain.swarm import Address
from smartnode.swarm.liars import Liars
from smartnode.swarm.observer import Observer
from smartnode.swarm.proof import Patience
from tests.plain import plain_session
from tests.swarm.proving import CLIENT, HOLDER, PAYLOAD, Seeded, challenge, eyes, seed

HOLDER_HOST, NEIGHBOUR_HOST, FAR_HOST = "127.0.14.2", "127.0.14.3", "127.0.15.2"
OTHER = b"-SN0001-othersothers"
T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Nobody:
    """A finder that is never asked: a proof goes to the address that it is told."""

    async def find_peers(self, info_hash: InfoHash) -> tuple[Address, ...] | None:
        """Name nobody."""
        raise AssertionError(info_hash)


class Watch:
    """A clock that the test turns."""

    def __init__(self) -> None:
        """Begin at T0."""
        self.now = T0

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


def observer(clock: Callable[[], datetime] = lambda: T0, *, private: bool = True) -> Observer:
    """One that waits for seconds only."""
    patience = Patience(unchoke_s=10.0, serve_s=10.0)
    return Observer(Nobody(), eyes(allow_private=private), liars=Liars(), patience=patience, clock=clock)


async def holder(folder: Path, host: str, node_id: bytes, payload: bytes = PAYLOAD) -> tuple[Seeded, Address]:
    """A seed that serves *payload*, whatever the hashes say, and its address."""
    session = plain_session(
        host,
        peer_fingerprint=node_id,
        handshake_client_version=CLIENT,
        allow_multiple_connections_per_ip=True,
        alert_mask=int(lt.alert.category_t.status_notification),
    )
    seeded = seed(session, folder, payload=payload)
    async with asyncio.timeout(20):
        while not (session.listen_port() and seeded.handle.status().is_finished):
            await asyncio.to_thread(session.wait_for_alert, 100)
            session.pop_alerts()
    return seeded, Address(host=host, port=session.listen_port())


async def test_a_holder_proves_itself(tmp_path: Path) -> None:
    """A real session that has the blocks is PROVED, as often as it is asked, and no lie is noted."""
    held, address = await holder(tmp_path, HOLDER_HOST, HOLDER)
    eye = observer()
    for _ in range(2):
        assert (await eye.prove(address, challenge())).verdict is Verdict.PROVED
    assert eye.liars.lies(T0) == ()
    held.session.pause()


async def test_a_liar_is_remembered_with_its_network(tmp_path: Path) -> None:
    """After wrong bytes neither the liar nor an honest neighbour of its network is asked for a day, nor its id
    elsewhere; another network is, and after the day all of them are.
    """
    lying, at = await holder(tmp_path / "a", HOLDER_HOST, HOLDER, bytes(len(PAYLOAD)))
    near, neighbour = await holder(tmp_path / "b", NEIGHBOUR_HOST, OTHER)
    away, far = await holder(tmp_path / "c", FAR_HOST, OTHER)
    watch = Watch()
    eye = observer(watch)
    first = await eye.prove(at, challenge())
    assert first.verdict is Verdict.LIAR
    (lie,) = eye.liars.lies(T0)
    assert (lie.peer_id, lie.network, lie.at, lie.reason) == (HOLDER, "127.0.14.0/24", T0, first.reason)
    lying.session.pause()
    said = Outcome(verdict=Verdict.LIAR, reason=f"it, or its network, lied at 2026-01-01 12:00 UTC: {first.reason}")
    assert await eye.prove(at, challenge()) == said
    assert await eye.prove(neighbour, challenge(holder=OTHER)) == said
    assert await eye.prove(Address(host="127.0.16.2", port=at.port), challenge()) == said
    assert (await eye.prove(far, challenge(holder=OTHER))).verdict is Verdict.PROVED
    watch.now = T0 + timedelta(hours=24)
    assert (await eye.prove(neighbour, challenge(holder=OTHER))).verdict is Verdict.PROVED
    assert (await eye.prove(at, challenge())).verdict is Verdict.UNKNOWN
    for seeded in (near, away):
        seeded.session.pause()


async def test_an_address_that_may_not_be_asked_is_unknown() -> None:
    """Names, private addresses and closed ports are UNKNOWN and no error; nobody becomes a liar by them."""
    eye, modest = observer(), observer(private=False)
    for address in (Address(host="a.name", port=6881), Address(host=HOLDER_HOST, port=1)):
        assert (await eye.prove(address, challenge())).verdict is Verdict.UNKNOWN
    assert (await modest.prove(Address(host=HOLDER_HOST, port=6881), challenge())).verdict is Verdict.UNKNOWN
    assert eye.liars.lies(T0) == modest.liars.lies(T0) == ()
