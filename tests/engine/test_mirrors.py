"""Web seeds: exactly those that were named are used, and each failure is told once, with the name that was given."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.mirror import MirrorFailure
from smartnode.domain.pieces import Bitfield
from smartnode.domain.swarm import Address
from tests.engine.mirror import Mirror


@pytest.fixture
def mirror() -> Iterator[Callable[..., Mirror]]:
    """Start mirrors of a sample's file; number 1 runs on 127.0.64.1."""
    made: list[Mirror] = []

    def start(sample: Any, *, number: int = 1, file: Path | None = None, **options: str) -> Mirror:
        made.append(Mirror(file or sample.root / "x.bin", f"127.0.64.{number}", **options))
        return made[-1]

    yield start
    for one in made:
        one.stop()


async def begin(engine: Any, sample: Any, *urls: str) -> list[MirrorFailure]:
    """Want everything from *urls*; return the list that failures are told to."""
    told: list[MirrorFailure] = []
    engine.on_mirror_failed = told.append
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    engine.use_web_seeds(sample.metainfo.info_hash, urls)
    return told


def whole(engine: Any, sample: Any) -> bool:
    """Say whether every piece is held."""
    return bool(engine.holdings()[sample.metainfo.info_hash].have.count() == sample.count)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("gone", "404 Not Found"),
        ("foreign", "it answers with an error"),  # words that are not UTF-8 are left out, the failure is not
        ("busy", "429 Too Many Requests"),
        ("unranged", "invalid HTTP range"),
        ("cutting", "cuts its answers short: End of file"),
    ],
)
async def test_a_mirror_that_fails_is_told_once_left_alone_and_used_again_when_it_is_named_again(
    mode: str, text: str, engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """An HTTP error, an answer without range, answers cut short: one failure, hardly a request more, and no use of the
    mirror until the caller names it again; then it serves.
    """
    sample = make_sample(files={"x.bin": 20 << 20})  # more than one request asks for
    one = mirror(sample, mode=mode)
    engine = await engines(1)
    told = await begin(engine, sample, one.url)
    await until(lambda: told)
    info_hash = sample.metainfo.info_hash
    assert told == [MirrorFailure(info_hash=info_hash, url=one.url, text=text, banned=False)]
    asked = one.connections
    assert asked <= 6
    one.mode = "good"
    await asyncio.sleep(2.5)  # nothing comes, and nothing tells of it
    assert one.connections == asked
    engine.use_web_seeds(info_hash, [one.url])
    await until(lambda: whole(engine, sample))
    assert len(told) == 1


async def test_a_mirror_that_refuses_connections_is_told_at_once_and_not_called_again(
    engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """Libtorrent would call again every half minute without a word."""
    sample = make_sample(files={"x.bin": 1 << 20})
    one = mirror(sample)
    one.stop()
    engine = await engines(1)
    told = await begin(engine, sample, one.url)
    await until(lambda: told)
    assert told[0].url == one.url
    assert told[0].text == "cannot be reached: Connection refused"
    one.start_again()
    engine.use_web_seeds(sample.metainfo.info_hash, [one.url])
    await until(lambda: whole(engine, sample))


async def test_wrong_bytes_are_told_of_the_mirror_that_sent_them_and_the_other_one_goes_on(
    engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """Of two mirrors the one with wrong bytes is named as banned; once named again, with right bytes, it is used."""
    sample = make_sample(files={"x.bin": 8 << 20})
    bad, good = mirror(sample, mode="wrong"), mirror(sample, number=2)
    engine = await engines(1)
    told = await begin(engine, sample, bad.url)
    await until(lambda: told)
    assert (told[0].url, told[0].banned, told[0].text) == (bad.url, True, "it sent a wrong byte")
    engine.use_web_seeds(sample.metainfo.info_hash, [good.url])
    await until(lambda: whole(engine, sample))
    info_hash = sample.metainfo.info_hash
    await engine.evict(info_hash, sample.pieces(*range(sample.count - 4)))
    bad.mode = "good"
    engine.use_web_seeds(info_hash, [bad.url])
    await engine.remap(info_hash, Bitfield.full(sample.count))
    await until(lambda: whole(engine, sample))
    assert len(told) == 1


async def test_a_failure_behind_a_redirect_is_told_with_the_name_that_was_given(
    engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """Nobody knows of the address that a redirect led to but libtorrent; both are used again when it is named again."""
    sample = make_sample(files={"x.bin": 2 << 20})
    behind = mirror(sample, number=2, mode="wrong")
    front = mirror(sample, mode="moved", target=behind.url)
    engine = await engines(1)
    told = await begin(engine, sample, front.url, "http://127.0.64.9:9/x.bin")
    await until(lambda: len(told) == 2)
    assert {(each.url, each.banned) for each in told} == {(front.url, True), ("http://127.0.64.9:9/x.bin", False)}
    behind.mode = "good"
    engine.use_web_seeds(sample.metainfo.info_hash, [front.url])
    await until(lambda: whole(engine, sample))


async def test_a_server_that_closes_after_each_whole_answer_is_no_failure(
    engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """One connection for each answer is slow and right: the data comes, so nothing is told."""
    sample = make_sample(files={"x.bin": 40 << 20})
    one = mirror(sample, mode="closing")
    engine = await engines(1)
    told = await begin(engine, sample, one.url)
    await until(lambda: whole(engine, sample))
    assert told == []
    assert one.connections >= 3


async def test_mirrors_outlive_the_handle_and_not_the_process(
    engines: Any, make_sample: Any, mirror: Any, until: Any
) -> None:
    """A torrent that is taken out and in again keeps its mirrors; one that is no longer named is not asked; after a
    restart nobody is asked before somebody is named.
    """
    sample = make_sample(files={"x.bin": 4 << 20})
    one, other = mirror(sample), mirror(sample, number=2)
    engine = await engines(1)
    told = await begin(engine, sample, one.url, other.url)
    info_hash = sample.metainfo.info_hash
    await until(lambda: whole(engine, sample))
    engine.use_web_seeds(info_hash, [one.url])
    asked = len(other.requests)
    await engine.evict(info_hash, sample.pieces(*range(8)))
    before = len(one.requests)
    await engine.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    await until(lambda: whole(engine, sample))
    assert len(one.requests) > before
    assert len(other.requests) == asked
    await engine.evict(info_hash, sample.pieces(*range(8)))
    await engine.stop()
    again = await engines(1)
    before = len(one.requests)
    await again.want(sample.item, sample.metainfo, Bitfield.full(sample.count))
    await asyncio.sleep(2)  # nothing comes, and nothing tells of it
    assert len(one.requests) == before
    again.use_web_seeds(info_hash, [one.url])
    await until(lambda: whole(again, sample))
    assert told == []
    again.use_web_seeds(sample.metainfo.info_hash.__class__("f" * 40), [one.url])  # not held: nothing happens


async def test_mirrors_and_peers_are_used_side_by_side(
    engines: Any, make_sample: Any, mirror: Any, seeder: Any, until: Any
) -> None:
    """Two mirrors and a peer all deliver, and none of them fails."""
    sample = make_sample(files={"x.bin": 96 << 20})
    one, other = mirror(sample), mirror(sample, number=2)
    peer = seeder(sample)
    engine = await engines(1, download_limit=40 << 20)
    told = await begin(engine, sample, one.url, other.url)
    await engine.introduce(sample.metainfo.info_hash, [Address(host=peer.host, port=peer.port)])
    await until(lambda: whole(engine, sample), within_s=60)
    assert one.requests
    assert other.requests
    assert peer.session.get_torrents()[0].status().total_payload_upload > 0
    assert told == []
