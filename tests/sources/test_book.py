"""The book: bounded, unknown is not none, and what the ledger is told."""

from dataclasses import replace
from datetime import UTC, datetime

from smartnode.domain.identity import InfoHash
from smartnode.domain.mirror import Mirror, MirrorState
from smartnode.metainfo.addresses import MAX_WEB_SEEDS
from smartnode.sources.book import Book, Said

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def key(number: int) -> InfoHash:
    """The torrent of that number."""
    return InfoHash(f"{number:040x}")


def mirror(number: int, url: str) -> Mirror:
    """A live web seed of one torrent."""
    return Mirror(info_hash=key(number), url=url, state=MirrorState.LIVE, target=url, checked_at=NOW, hashed_at=NOW)


def test_the_book_is_bounded_and_lets_the_oldest_go() -> None:
    """16 web seeds of one torrent; in all, the torrents that were not heard of for longest go first."""
    book = Book(limit=40)
    book.remember(mirror(0, f"http://h/{n}") for n in range(100))
    assert len(book) == MAX_WEB_SEEDS
    for number in range(1, 6):
        book.register(key(number), [f"http://h/{n}" for n in range(10)], None, "")
    assert len(book) == 40
    assert book.entry(key(0)) is None
    book.register(key(2), ["http://h/0"], None, "")
    book.register(key(7), [f"http://h/{n}" for n in range(16)], None, "")
    assert book.entry(key(3)) is None
    assert book.entry(key(2)) is not None
    assert len(book) == sum(len(entry.mirrors) for _, entry in book) <= 40


def test_torrents_without_web_seeds_are_bounded_too_and_what_is_touched_goes_last() -> None:
    """What is held is touched in each round, and registered anew when the catalogue names other web seeds."""
    book, said = Book(limit=20), Said(web_seeds=("http://h/a",))
    for number in range(100):
        book.register(key(number), [], None, "", said=said)
        assert book.touch(key(0), said)
    assert sum(1 for _ in book) == 20
    other = Said(web_seeds=("http://h/a", "http://h/b"))
    for changed in (other, replace(said, places=(("http://h/a", "ca"),)), replace(said, superseded=True)):
        assert not book.touch(key(0), changed)
    assert not book.touch(key(1), said)


def test_a_torrent_keeps_what_is_known_and_forgets_what_it_no_longer_names() -> None:
    """Registering again changes the addresses, not what was seen of those that stay."""
    book = Book()
    book.remember([mirror(1, "http://h/a"), mirror(1, "http://h/b")])
    book.register(key(1), ["http://h/b", "http://h/c"], None, "")
    entry = book.entry(key(1))
    assert entry is not None
    assert list(entry.mirrors) == ["http://h/b", "http://h/c"]
    assert entry.seen() == [mirror(1, "http://h/b")]
    assert entry.mirrors["http://h/c"] is None
    assert not book.put(mirror(1, "http://h/a"))


def test_changes_are_told_once() -> None:
    """The ledger gets the newest state of each that changed; what is known better than the ledger stays."""
    book = Book()
    book.register(key(1), ["http://h/a"], None, "")
    newest = mirror(1, "http://h/a")
    assert book.put(newest)
    assert book.put(newest)
    book.remember([Mirror(info_hash=key(1), url="http://h/a", state=MirrorState.GONE, target="", checked_at=NOW)])
    assert book.changed() == (newest,)
    assert book.changed() == ()
