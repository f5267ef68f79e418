"""``pin``, ``unpin``, ``exclude``, ``include``: the volunteer's word goes into the ledger, with or without a node.

The ledger's file is the one way, because the API takes no orders from anybody yet. A running node looks there every two
seconds; one that is started later reads it first. A node that answers and keeps its state elsewhere would never hear
the word, so that is an error, and nothing is written.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smartnode.cli.naming import Named, find
from smartnode.cli.readers import NodeApi
from smartnode.cli.show import print_json, print_line, progress_on_stderr
from smartnode.config.load import load
from smartnode.config.paths import Paths, paths_of
from smartnode.config.settings import Settings
from smartnode.daemon.rooms import ledger_of
from smartnode.domain.identity import NodeId
from smartnode.domain.wishes import Wish, Word
from smartnode.errors import ConfigError, SmartnodeError
from smartnode.ledger.ledger import Ledger

_OPPOSITE = {Word.PINNED: "include", Word.EXCLUDED: "unpin"}
"""The command that takes the other word back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One word as it is now and was before; *heard*: a running node hears it now."""

    named: Named
    before: Word | None
    after: Word | None
    heard: bool


def say(config: Path | None, item: str, word: Word, *, as_json: bool) -> None:
    """Say *word* of one item; it replaces what was said before."""
    change = _changed(config, item, word, take_back=False)
    if as_json:
        print_json(_json(change))
        return
    name, before = change.named.item, change.before
    if before is word:
        print_line(f"{name} is {word} already")
        return
    print_line(f"{word}: {name}{'' if before is None else f', which was {before} until now'}; {_when(change)}")


def take_back(config: Path | None, item: str, word: Word, *, as_json: bool) -> None:
    """Take *word* about one item back; what was not said is no error."""
    change = _changed(config, item, word, take_back=True)
    if as_json:
        print_json(_json(change))
        return
    name = change.named.item
    if change.before is word:
        print_line(f"no longer {word}: {name}; {_when(change)}")
    elif change.before is None:
        print_line(f"{name} is not {word}: nothing to take back")
    else:
        print_line(f"{name} is not {word} but {change.before}: `smartnode {_OPPOSITE[word]}` takes that back")


def _changed(config: Path | None, item: str, word: Word, *, take_back: bool) -> _Change:
    settings = load(config)
    settings.require_catalogue()
    with progress_on_stderr("looking the item up"):
        return asyncio.run(_change(settings, paths_of(settings), item, word, take_back=take_back))


async def _change(settings: Settings, paths: Paths, item: str, word: Word, *, take_back: bool) -> _Change:
    known = await _known(paths)
    heard = _is_running(settings, paths, known)
    named = await find(settings, paths, item)
    ledger = ledger_of(paths, visitor=True)
    await ledger.open()
    try:
        before = await _said(ledger, named)
        if not take_back:
            wish = Wish(info_hash=named.info_hash, word=word, item=named.item, at=datetime.now(UTC))
            await ledger.say(wish)
        elif before is word:
            await ledger.take_back(named.info_hash, word)
        return _Change(named=named, before=before, after=await _said(ledger, named), heard=heard)
    finally:
        await ledger.close()


async def _known(paths: Paths) -> NodeId | None:
    ledger = ledger_of(paths, read_only=True)
    await ledger.open()
    try:
        return await ledger.known_node_id()
    finally:
        await ledger.close()


async def _said(ledger: Ledger, named: Named) -> Word | None:
    return next((wish.word for wish in await ledger.wishes() if wish.info_hash == named.info_hash), None)


def _is_running(settings: Settings, paths: Paths, known: NodeId | None) -> bool:
    """Say whether the node of this ledger answers; ConfigError when the one that answers is another."""
    try:
        status = NodeApi(settings).get("/api/v1/status")
        answering = bytes.fromhex(status["node_id"])
    except (SmartnodeError, KeyError, TypeError, ValueError):
        return False
    if answering == known:
        return True
    message = f"the node at {settings.api.listen} does not keep its state in {paths.state}, it would not hear this"
    raise ConfigError(message, cure="name its folder: STATE_DIRECTORY=/var/lib/smartnode smartnode ... --config FILE")


def _when(change: _Change) -> str:
    return "the running node hears it now" if change.heard else "no node runs here now, it is heard at the next start"


def _json(change: _Change) -> dict[str, Any]:
    return {
        "item": change.named.item,
        "info_hash": change.named.info_hash,
        "word": change.after,
        "before": change.before,
        "running": change.heard,
    }
