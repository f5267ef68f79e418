"""Web seeds against a server that misbehaves in every way we know, and against Debian's nginx, which does not."""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from smartnode.domain.catalogue import Item
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.mirror import MirrorFailure, MirrorState
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.read import Metainfo, read_metainfo
from smartnode.sources.hosts import Budget
from smartnode.sources.mirrors import Mirrors
from smartnode.sources.probe import Manners, Outcome, probe
from smartnode.sources.samples import proof_of
from tests.plain import plain_session

LIVE, WAITING, GONE = MirrorState.LIVE, MirrorState.WAITING, MirrorState.GONE
REFUSED, BANNED = MirrorState.REFUSED, MirrorState.BANNED
PIECE = 1 << 16
COUNT = 6
SIZE = (COUNT - 1) * PIECE + 777
PORT = 8080
AGENT = "smartnode/test (d4c/1)"
MANNERS = Manners(user_agent=AGENT, allow_private=True, deadline_s=2.0)
HASTY = Budget(
    host_spacing=timedelta(), urgent_spacing=timedelta(), per_host=8, per_host_looks=64, patience=timedelta(seconds=30)
)
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

# Behaviour: what a deep look finds, why, and the requests that it costs.
TABLE: dict[str, tuple[MirrorState, str, int]] = {
    "ok": (LIVE, "", 2),
    "301": (LIVE, "", 3),
    "302-chain": (LIVE, "", 6),
    "other-etag": (LIVE, "", 2),
    "no-validator": (LIVE, "", 2),
    "one-wrong-byte": (BANNED, "piece 2 of it has the wrong hash", 2),
    "wrong-byte": (BANNED, "piece 2 of it has the wrong hash", 2),
    "404": (GONE, "it answers 404 Not Found", 1),
    "410": (GONE, "it answers 410 Gone", 1),
    "no-range": (REFUSED, "it sends the whole file when asked for a range", 1),
    "html": (REFUSED, "it answers with a web page instead of the file", 1),
    "401": (REFUSED, "it answers 401 Unauthorized", 1),
    "403": (REFUSED, "it answers 403 Forbidden", 1),
    "416": (REFUSED, "it answers 416 Requested Range Not Satisfiable", 1),
    "451": (REFUSED, "it answers 451 Unavailable For Legal Reasons", 1),
    "304": (REFUSED, "it answers 304 Not Modified", 1),
    "no-location": (REFUSED, "it answers 302 Found", 1),
    "loop": (REFUSED, "it redirects in a circle", 2),
    "redirects": (REFUSED, "it redirects more than 5 times", 6),
    "to-file": (REFUSED, "its address is neither http nor https: 'file:/etc/big.bin'", 1),
    "to-nonsense": (REFUSED, "it cannot be asked: Invalid IPv6 URL", 1),
    "to-folder": (REFUSED, "it redirects to an address that ends in a slash", 2),
    "gzip": (REFUSED, "it encodes the bytes as 'gzip' although asked not to", 1),
    "wrong-total": (REFUSED, f"its file has {SIZE + 1} bytes instead of {SIZE}", 1),
    "no-total": (REFUSED, "it answers 206 without saying which bytes of how many", 1),
    "no-content-range": (REFUSED, "it answers 206 without saying which bytes of how many", 1),
    "other-range": (REFUSED, "it sends bytes 1-1 when asked for 0-0", 1),
    "too-long": (REFUSED, "it says '5' bytes when asked for 1", 1),
    "endless": (REFUSED, "it sends more than the 1 bytes asked for", 1),
    "429": (WAITING, "it answers 429 Too Many Requests", 1),
    "429-seconds": (WAITING, "it answers 429 Too Many Requests", 1),
    "429-date": (WAITING, "it answers 429 Too Many Requests", 1),
    "500": (WAITING, "it answers 500 Internal Server Error", 1),
    "503": (WAITING, "it answers 503 Service Unavailable", 1),
    "503-seconds": (WAITING, "it answers 503 Service Unavailable", 1),
    "503-garbage": (WAITING, "it answers 503 Service Unavailable", 1),
    "599": (WAITING, "it answers 599", 1),
    "short": (WAITING, "it ends after 0 of 1 bytes", 1),
    "stall": (WAITING, "it takes longer than 2 s", 1),
    "silent": (WAITING, "it takes longer than 2 s", 1),
    "truncated": (WAITING, "the connection broke: peer closed connection without sending complete message body", 1),
    "reset": (WAITING, "the connection broke: ", 1),
}


class Behaving:
    """A running server of mirror_server.py."""

    def __init__(self, root: Path, log: Path, host: str) -> None:
        """Files below *root*; requests in *log*."""
        self.root, self._log, self.host = root, log, host

    def url(self, behaviour: str, path: str = "big.bin") -> str:
        """Where *path* is served in that way."""
        return f"http://{self.host}:{PORT}/{behaviour}/{path}"

    def requests(self) -> list[dict[str, Any]]:
        """What it was asked so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def counted(self) -> Counter[str]:
        """How often each first path segment was asked for."""
        return Counter(said["path"].split("/")[1] for said in self.requests())


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Begin at noon."""
        self.now = START

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@pytest.fixture
def behaving(processes: Any, wait: Any, tmp_path: Path) -> Callable[..., Behaving]:
    """Makes servers: ``behaving(host)`` returns one that runs, with ``big.bin`` at its root."""
    need_ss = ("ss", "-lnt")

    def make(host: str = "127.0.102.1") -> Behaving:
        root = tmp_path / "www"
        root.mkdir(exist_ok=True)
        if not (root / "big.bin").exists():
            (root / "big.bin").write_bytes(os.urandom(SIZE))
        log = tmp_path / f"requests-{host}"
        script = str(Path(__file__).with_name("mirror_server.py"))
        processes.start(sys.executable, script, str(root), host, str(PORT), str(log))
        wait("the server", lambda: f"{host}:{PORT}" in _output(*need_ss), deadline_s=20, pause_s=0.02)
        return Behaving(root, log, host)

    return make


@pytest.fixture
async def mirrors() -> AsyncIterator[Callable[..., Mirrors]]:
    """Makes rooms under test, closed at the end: ``mirrors(clock)``."""
    made: list[Mirrors] = []

    def make(clock: Clock, *, manners: Manners = MANNERS, budget: Budget = HASTY, seed: int = 1) -> Mirrors:
        made.append(Mirrors(manners, clock=clock, dice=random.Random(seed), budget=budget))
        return made[-1]

    yield make
    for room in made:
        await room.close()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def torrent_of(path: Path, **options: Any) -> Metainfo:
    """The torrent of a file or folder."""
    return read_metainfo(make_torrent(path, piece_length=PIECE, **options))


def item_of(*urls: str) -> Item:
    """An item with these web seeds."""
    return Item(key=ItemKey(collection="c", id="i"), torrent=None, web_seeds=urls)


def one(server: Behaving, behaviour: str, number: int) -> tuple[Item, Metainfo]:
    """One torrent of its own whose only web seed behaves in that way."""
    metainfo = replace(torrent_of(server.root / "big.bin"), info_hash=InfoHash(f"{number:040x}"))
    return item_of(server.url(behaviour)), metainfo


async def test_every_behaviour_has_its_outcome_in_one_line(behaving: Any) -> None:
    """The table: what a web seed is after one deep look, why, and how many requests it was worth."""
    server = behaving()
    metainfo = torrent_of(server.root / "big.bin")
    proofs = (proof_of(metainfo, random.Random(seed)) for seed in range(99))
    proof, sample = next((p, s) for p in proofs for s in p.samples if s.index == 2)

    outcomes: dict[str, Outcome] = {}
    for behaviour, (state, reason, cost) in TABLE.items():
        before = len(server.requests())
        found = await probe(server.url(behaviour), proof, [sample], manners=MANNERS, now=datetime.now(UTC))
        outcomes[behaviour] = found
        assert (found.state, found.reason[: len(reason)]) == (state, reason), behaviour
        assert len(server.requests()) - before == cost, behaviour
        assert found.hashed == (state is LIVE)
        assert "\n" not in found.reason
        assert bool(found.reason) == (state is not LIVE)
    assert outcomes["302-chain"].target == server.url("ok")
    assert outcomes["429-seconds"].again_in == timedelta(seconds=2)
    date = outcomes["429-date"].again_in
    assert date is not None
    assert timedelta() <= date <= timedelta(seconds=3)
    assert outcomes["503-garbage"].again_in is None
    assert outcomes["429"].crowded


async def test_what_cannot_be_reached_waits_and_says_so(behaving: Any) -> None:
    """A closed port and a name that nobody knows: no connection, asked again later."""
    server = behaving()
    proof = proof_of(torrent_of(server.root / "big.bin"), random.Random(1))
    for url in (f"http://{server.host}:1/x", "http://nowhere.invalid/x"):
        found = await probe(url, proof, manners=MANNERS, now=START)
        assert (found.state, found.unreached) == (WAITING, True)
        assert found.reason.startswith("it cannot be reached: ")


async def test_a_redirect_never_leads_into_a_private_network(behaving: Any) -> None:
    """A public server may not send us to 10.0.0.1 or localhost; a private web seed is not even asked."""
    _output("ip", "address", "add", "11.22.33.44/32", "dev", "lo")
    server = behaving("11.22.33.44")
    proof = proof_of(torrent_of(server.root / "big.bin"), random.Random(1))
    strict = replace(MANNERS, allow_private=False)
    good = await probe(server.url("ok"), proof, manners=strict, now=START)
    assert (good.state, good.reason) == (LIVE, "")
    for behaviour in ("to-private", "to-loopback"):
        found = await probe(server.url(behaviour), proof, manners=strict, now=START)
        assert found.state is REFUSED
        assert found.reason.startswith("its address points into a private network: ")
    own = await probe("http://127.0.0.1:8080/ok/big.bin", proof, manners=strict, now=START)
    assert own.state is REFUSED
    assert server.counted() == {"ok": 1, "to-private": 1, "to-loopback": 1}


async def test_the_request_says_who_asks_and_for_what(processes: Any, behaving: Any) -> None:
    """Own user agent, identity encoding, one byte, and the piece: nothing more is asked for."""
    heads: list[str] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(speak, "127.0.102.9", PORT)
    server = behaving()
    proof = proof_of(torrent_of(server.root / "big.bin"), random.Random(1))
    await probe(f"http://127.0.102.9:{PORT}/f", proof, manners=MANNERS, now=START)
    listening.close()
    assert processes is not None
    (head,) = heads
    lines = {line.lower() for line in head.split("\r\n")}
    assert {f"user-agent: {AGENT}", "accept-encoding: identity", "range: bytes=0-0"} <= lines


async def test_an_hour_of_any_behaviour_costs_a_bounded_number_of_requests(behaving: Any, mirrors: Any) -> None:
    """Asked every 15 s whether something is due: what is gone, refused or banned costs one look, what waits at most
    ten, each of as many requests as one look takes; never a hot loop.
    """
    server, clock = behaving(), Clock()
    room = mirrors(clock, manners=replace(MANNERS, deadline_s=0.5))
    behaviours = [name for name in TABLE if not name.startswith("429")]
    for number, behaviour in enumerate(behaviours):
        room.expect(*one(server, behaviour, number))
    hashes = {InfoHash(f"{number:040x}") for number in range(len(behaviours))}
    before = Counter[str]()
    for _ in range(240):
        await room.tend(clock.now, wanted=hashes)
        clock.now += timedelta(seconds=15)
    for number, behaviour in enumerate(behaviours):
        (mirror,) = [m for m in room.all() if m.info_hash == f"{number:040x}"]
        looks = 10 if mirror.state is WAITING else 1
        used = server.counted()[behaviour] - before[behaviour]
        if behaviour not in {"ok", "to-folder"}:
            assert 1 <= used <= looks * TABLE[behaviour][2], behaviour
        assert bool(room.live(mirror.info_hash)) == (mirror.state is LIVE)
        assert room.count(mirror.info_hash) == (mirror.state is LIVE)
    waits = [m for m in room.all() if m.state is WAITING]
    assert waits
    assert all(m.failures >= 5 for m in waits)


async def test_nothing_is_live_before_a_piece_had_its_hash(behaving: Any, mirrors: Any) -> None:
    """Unknown is None; then the good ones are given out where their redirects ended, the wrong one is banned."""
    server, clock = behaving(), Clock()
    room = mirrors(clock)
    metainfo = torrent_of(server.root / "big.bin")
    urls = [server.url(name) for name in ("wrong-byte", "302-chain", "ok", "301", "404")]
    room.expect(item_of(*urls), metainfo)
    assert room.count(metainfo.info_hash) is None
    assert room.live(metainfo.info_hash) == ()
    assert await room.tend(clock.now, wanted=[metainfo.info_hash]) == {metainfo.info_hash}
    assert room.live(metainfo.info_hash) == (server.url("ok"),)
    assert room.count(metainfo.info_hash) == 3
    states = {m.url.split("/")[3]: m.state for m in room.all()}
    assert states == {"wrong-byte": BANNED, "302-chain": LIVE, "ok": LIVE, "301": LIVE, "404": GONE}
    assert {m.url for m in room.changed()} == set(urls)
    assert room.changed() == ()
    assert await room.tend(clock.now, wanted=[metainfo.info_hash]) == frozenset()
    said = room.degraded(clock.now)
    place = f"{server.host}:{PORT}/404/big.bin of {metainfo.info_hash[:8]}"
    assert any(
        line.startswith(f"sources: {place}: it answers 404 Not Found, asked again at 2026-11-2") for line in said
    )
    assert len(said) == 2


async def test_retry_after_is_obeyed(behaving: Any, mirrors: Any) -> None:
    """Not asked again before the server's own time, and neither is anything else of a host that counts requests."""
    server, clock = behaving(), Clock()
    room = mirrors(clock)
    room.expect(*one(server, "429-seconds", 1))
    await room.tend(clock.now, wanted=[])
    room.expect(*one(server, "ok", 2))
    clock.now += timedelta(seconds=1.9)
    assert room.due(clock.now) == ()
    await room.tend(clock.now, wanted=[])
    assert server.counted() == {"429-seconds": 1}
    clock.now += timedelta(seconds=30)
    await room.tend(clock.now, wanted=[])
    assert server.counted() == {"429-seconds": 2, "ok": 2}


async def test_a_shared_target_blames_both_and_a_ban_lasts(behaving: Any, mirrors: Any) -> None:
    """Two addresses lead to one server: its wrong byte bans both, for a week, and then three pieces must be right."""
    server, clock = behaving(), Clock()
    room = mirrors(clock)
    metainfo = torrent_of(server.root / "big.bin")
    key = metainfo.info_hash
    room.expect(item_of(server.url("ok"), server.url("301")), metainfo)
    await room.tend(clock.now, wanted=[key])
    (target,) = room.live(key)
    room.failed(MirrorFailure(info_hash=key, url=target, text="banned", banned=True), clock.now)
    assert room.live(key) == ()
    assert [m.state for m in room.all()] == [BANNED, BANNED]
    asked = len(server.requests())
    clock.now += timedelta(days=5)
    assert await room.tend(clock.now, wanted=[key]) == {key}
    assert len(server.requests()) == asked
    clock.now += timedelta(days=4)
    assert await room.tend(clock.now, wanted=[key]) == {key}
    assert room.live(key) == (target,)
    ranges = Counter(r["range"] for r in server.requests()[asked:] if r["status"] == 206)
    assert sum(ranges.values()) == 2 * (1 + 3)
    assert ranges["bytes=0-0"] == 2


async def test_a_web_seed_that_the_engine_gives_up_is_asked_again_ever_more_rarely(behaving: Any, mirrors: Any) -> None:
    """Our looks succeed and the engine fails each time: at once, then 5 s, 15 s and so on, not a loop."""
    server, clock = behaving(), Clock()
    room = mirrors(clock)
    metainfo = torrent_of(server.root / "big.bin")
    key = metainfo.info_hash
    room.expect(item_of(server.url("ok")), metainfo)
    revived = []
    for _ in range(3600):
        await room.tend(clock.now, wanted=[key])
        if room.live(key):
            revived.append((clock.now - START).total_seconds())
            room.failed(MirrorFailure(info_hash=key, url=room.live(key)[0], text="403", banned=False), clock.now)
            assert room.live(key) == ()
        clock.now += timedelta(seconds=1)
    gaps = [b - a for a, b in pairwise(revived)]
    assert gaps == [5, 5, 15, 35, 75, 155, 315, 635, 1275]
    assert len(server.requests()) == 2 + len(gaps)


async def test_a_web_seed_that_stalls_holds_up_no_other(behaving: Any, mirrors: Any) -> None:
    """The call returns with what is live while the other look goes on; closing the room ends that look."""
    server, clock = behaving(), Clock()
    room = mirrors(
        clock,
        manners=replace(MANNERS, deadline_s=60.0),
        budget=replace(HASTY, patience=timedelta(seconds=1)),
    )
    metainfo = torrent_of(server.root / "big.bin")
    key = metainfo.info_hash
    room.expect(item_of(server.url("stall"), server.url("silent"), server.url("ok")), metainfo)
    assert await room.tend(clock.now, wanted=[key]) == {key}
    assert room.live(key) == (server.url("ok"),)
    assert room.due(clock.now) == ()
    assert await room.tend(clock.now, wanted=[key]) == frozenset()
    assert server.counted() == {"stall": 1, "silent": 1, "ok": 2}
    await room.close()
    assert [m.url for m in room.all()] == [server.url("ok")]
    assert room.due(clock.now) == ((key, server.url("stall")), (key, server.url("silent")))


async def test_other_bytes_under_the_same_address_are_found_out(nginx: Any, mirrors: Any, tmp_path: Path) -> None:
    """Debian's nginx serves a new version of the same length: its validators change, a piece is hashed, banned."""
    root = tmp_path / "www"
    root.mkdir()
    (root / "f.bin").write_bytes(os.urandom(SIZE))
    server, clock = nginx(root), Clock()
    metainfo = torrent_of(root / "f.bin")
    key = metainfo.info_hash
    room = mirrors(clock)
    room.expect(item_of(f"{server.url}/f.bin"), metainfo)
    assert await room.tend(clock.now, wanted=[]) == {key}
    assert room.live(key) == (f"{server.url}/f.bin",)
    clock.now += timedelta(hours=8)
    assert await room.tend(clock.now, wanted=[]) == frozenset()
    assert len(server.requests) == 3
    (root / "f.bin").write_bytes(os.urandom(SIZE))
    os.utime(root / "f.bin", (1_600_000_000, 1_600_000_000))
    clock.now += timedelta(hours=8)
    assert await room.tend(clock.now, wanted=[]) == {key}
    (mirror,) = room.all()
    assert mirror.state is BANNED
    assert room.live(key) == ()


@pytest.mark.parametrize("behaviour", ["ok", "no-validator"])
async def test_a_mirror_that_serves_the_next_version_is_none_of_this_one(
    behaving: Any, mirrors: Any, behaviour: str
) -> None:
    """The address now serves a version of the same size, and no validator tells: it counts until it is asked. Where no
    validators come each look hashes a piece; where they stay the same, one a month does.
    """
    server, clock = behaving(), Clock()
    metainfo = torrent_of(server.root / "big.bin")
    key, url = metainfo.info_hash, server.url(behaviour)
    room = mirrors(clock)
    room.expect(item_of(url), metainfo)
    await room.tend(clock.now, wanted=[])
    assert room.count(key) == 1
    (server.root / "big.bin").write_bytes(os.urandom(SIZE))
    clock.now += timedelta(minutes=5)
    assert await room.tend(clock.now, wanted=[]) == frozenset()
    room.expect(replace(item_of(url), deprecated=True), metainfo)
    assert room.count(key) == 1
    await room.tend(clock.now, wanted=[])
    if behaviour == "ok":
        assert room.count(key) == 1
        clock.now += timedelta(days=31)
        await room.tend(clock.now, wanted=[])
    assert (room.count(key), room.all()[0].state) == (0, BANNED)


async def test_another_length_is_another_version(behaving: Any, mirrors: Any) -> None:
    """One byte is enough to tell: refused, and counted no more."""
    server, clock = behaving(), Clock()
    metainfo = torrent_of(server.root / "big.bin")
    room = mirrors(clock)
    room.expect(item_of(server.url("ok")), metainfo)
    await room.tend(clock.now, wanted=[])
    asked = len(server.requests())
    (server.root / "big.bin").write_bytes(os.urandom(SIZE + 1))
    room.expect(replace(item_of(server.url("ok")), deprecated=True), metainfo)
    assert await room.tend(clock.now, wanted=[]) == {metainfo.info_hash}
    assert (room.count(metainfo.info_hash), room.all()[0].state) == (0, REFUSED)
    assert len(server.requests()) == asked + 1


async def test_changed_validators_end_the_trust_even_when_no_piece_can_be_paid(
    nginx: Any, mirrors: Any, tmp_path: Path
) -> None:
    """Nobody waits for the torrent and the purse is empty: not live, not asked, until somebody waits for it."""
    root = tmp_path / "www"
    root.mkdir()
    (root / "f.bin").write_bytes(os.urandom(SIZE))
    server, clock = nginx(root), Clock()
    metainfo = torrent_of(root / "f.bin")
    key = metainfo.info_hash
    room = mirrors(clock, budget=replace(HASTY, idle_bytes=1, idle_period=timedelta(days=20)))
    room.expect(item_of(f"{server.url}/f.bin"), metainfo)
    await room.tend(clock.now, wanted=[])
    os.utime(root / "f.bin", (1_600_000_000, 1_600_000_000))
    clock.now += timedelta(hours=8)
    assert await room.tend(clock.now, wanted=[]) == {key}
    (mirror,) = room.all()
    assert (mirror.state, mirror.hashed_at) == (WAITING, None)
    assert mirror.reason == "its validators changed, a piece of it is hashed again first"
    assert await room.tend(clock.now, wanted=[]) == frozenset()
    assert len(server.requests) == 3
    assert await room.tend(clock.now, wanted=[key]) == {key}
    assert room.count(key) == 1


async def test_looks_go_through_the_proxy_or_nowhere(behaving: Any, processes: Any, wait: Any) -> None:
    """SOCKS5: the server sees the proxy's connection; without the proxy it sees none, and the web seed waits."""
    program = shutil.which("microsocks", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("NOT RUN: microsocks is missing; apt install microsocks")
    server = behaving()
    proof = proof_of(torrent_of(server.root / "big.bin"), random.Random(1))
    proxy = Proxy(kind=ProxyKind.SOCKS5, host="127.0.104.1", port=1080)
    manners = replace(MANNERS, proxy=proxy)
    without = await probe(server.url("ok"), proof, proof.samples, manners=manners, now=START)
    assert (without.state, without.unreached) == (WAITING, True)
    assert server.requests() == []
    processes.start(program, "-i", proxy.host, "-p", str(proxy.port))
    wait("the proxy", lambda: f"{proxy.host}:{proxy.port}" in _output("ss", "-lnt"), deadline_s=20, pause_s=0.02)
    through = await probe(server.url("ok"), proof, proof.samples, manners=manners, now=START)
    assert (through.state, through.hashed) == (LIVE, True)


@pytest.fixture
def session() -> Iterator[lt.session]:
    """A plain libtorrent session that speaks to web seeds only."""
    made = plain_session(
        "127.0.103.1",
        outgoing_interfaces="",
        ssrf_mitigation=False,
        alert_mask=int(lt.alert_category.error | lt.alert_category.status | lt.alert_category.peer),
    )
    yield made
    made.pause()


def add(session: lt.session, metainfo: Metainfo, folder: Path, urls: tuple[str, ...]) -> Any:
    """Add the torrent with *urls* as its web seeds; returns its handle."""
    folder.mkdir(exist_ok=True)
    params = lt.load_torrent_buffer(metainfo.raw)
    params.save_path = str(folder)
    params.url_seeds = list(urls)
    params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    return session.add_torrent(params)


@pytest.mark.parametrize("v1_only", [True, False])
async def test_libtorrent_fetches_from_the_addresses_that_were_proved(
    nginx: Any, mirrors: Any, session: Any, wait: Any, tmp_path: Path, *, v1_only: bool
) -> None:
    """A folder of odd names, plain and hybrid with pad files: what was asked here is spelled as libtorrent spells it,
    and the target that is given out serves the whole torrent.
    """
    names = ("a #+(é)!'$&,;=@:~*.bin", "sub/b c", "z%20")
    root = tmp_path / "www" / "d"
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.urandom(100_003))
    metainfo = torrent_of(root, v1_only=v1_only)
    server, clock = nginx(tmp_path / "www"), Clock()
    room = mirrors(clock)
    room.expect(item_of(f"{server.url}/"), metainfo)
    targets: tuple[str, ...] = ()
    for _ in range(4):  # a deep look each: all samples in turn
        await room.tend(clock.now, wanted=[metainfo.info_hash])
        targets = room.live(metainfo.info_hash)
        assert targets == (f"{server.url}/",)
        clock.now += timedelta(days=40)
    asked = {line.split('"')[1] for line in server.requests}
    handle = add(session, metainfo, tmp_path / "got", targets)
    wait("the download", lambda: handle.status().is_seeding)
    theirs = {line.split('"')[1] for line in server.requests if "smartnode/test" not in line}
    assert len(asked) >= 2
    assert asked <= theirs
    assert (tmp_path / "got" / "d" / names[0]).read_bytes() == (root / names[0]).read_bytes()


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [("late-429-seconds", WAITING), ("late-404", GONE), ("late-403", REFUSED), ("late-one-wrong-byte", BANNED)],
)
async def test_what_the_engine_meets_is_understood(
    behaving: Any, mirrors: Any, session: Any, wait: Any, tmp_path: Path, *, behaviour: str, state: MirrorState
) -> None:
    """A web seed that was good and then fails libtorrent: the reason is looked up, which libtorrent does not tell."""
    server, clock = behaving(), Clock()
    (server.root / "large.bin").write_bytes(os.urandom(12 << 20))
    metainfo = torrent_of(server.root / "large.bin")
    key = metainfo.info_hash
    room = mirrors(clock)
    room.expect(item_of(server.url(behaviour, "large.bin")), metainfo)
    await room.tend(clock.now, wanted=[key])
    add(session, metainfo, tmp_path / "got", room.live(key))
    alert = wait("the engine's word", lambda: next(iter(_alerts(session)), None))
    url, text = alert
    clock.now += timedelta(seconds=60)
    room.failed(MirrorFailure(info_hash=key, url=url, text=text, banned="banned" in text), clock.now)
    assert await room.tend(clock.now, wanted=[key]) == {key}
    (mirror,) = room.all()
    assert mirror.state is state
    assert room.live(key) == ()
    assert room.count(key) == 0


def _alerts(session: lt.session) -> list[tuple[str, str]]:
    found = [a for a in session.pop_alerts() if isinstance(a, lt.url_seed_alert)]
    return [(a.server_url(), f"{a.message()}") for a in found]
