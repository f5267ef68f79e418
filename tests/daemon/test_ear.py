"""The node hears what another process wrote into the ledger, and forgets nothing while it cannot be read."""

from datetime import UTC, datetime
from pathlib import Path

from smartnode.daemon.ear import Ear
from smartnode.domain.identity import InfoHash
from smartnode.domain.wishes import Wish, Word
from smartnode.ledger.ledger import FILE_NAME, Ledger

NAME = InfoHash("a" * 40)


async def test_words_are_heard_once_and_kept(tmp_path: Path) -> None:
    """A change is told once; when the ledger fails, what was heard last holds."""
    node, visitor = Ledger(tmp_path / FILE_NAME), Ledger(tmp_path / FILE_NAME, visitor=True)
    await node.open()
    await visitor.open()
    ear = Ear(node)
    assert not await ear.listen()
    wish = Wish(info_hash=NAME, word=Word.PINNED, item="c/x", at=datetime(2026, 1, 1, tzinfo=UTC))
    await visitor.say(wish)
    assert [await ear.listen(), await ear.listen()] == [True, False]
    assert (ear.wishes, ear.pinned) == ((wish,), frozenset({NAME}))
    await node.close()
    assert not await ear.listen()
    assert ear.wishes == (wish,)
    await visitor.close()
