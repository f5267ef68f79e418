"""A reload names every key that changed, once: taken over now, or waiting for a restart."""

from pathlib import Path

import pytest

from smartnode.config.keys import holds_list, known_keys
from smartnode.config.load import load
from smartnode.config.reload import changed
from smartnode.config.settings import Settings

NOWHERE = {"CONFIGURATION_DIRECTORY": "/nonexistent"}
OTHER = {
    "node.name": "another",
    "catalogue.refresh": "2 h",
    "catalogue.allow_unsigned": "true",
    "storage.path": "/srv",
    "storage.quota": "7",
    "storage.keep_free": "7",
    "bandwidth.upload": "7",
    "bandwidth.download": "7",
    "selection.bbox": "[1, 2, 3, 4]",
    "network.id": "other",
    "network.listen": '["127.0.0.1:7"]',
    "network.outgoing": "127.0.0.7",
    "network.announce_ip": "192.0.2.7",
    "network.port_forwarding": "true",
    "network.lan_discovery": "true",
    "network.proxy": "socks5://127.0.0.7:1080",
    "network.dht": "false",
    "network.allow_private": "true",
    "network.siblings": '["192.0.2.7"]',
    "api.listen": "127.0.0.1:7",
    "protocol.quiet_window": "11 min",
    "protocol.epoch": "3 h",
    "protocol.clock": "trusted",
}
MINE = {"SMARTNODE_NETWORK__ID": "mine"}


def other(name: str) -> str:
    """A value of the key *name* that is not its default."""
    section, _, key = name.partition(".")
    if name in OTHER:
        return OTHER[name]
    if holds_list(section, key):
        return '["127.0.0.1:7"]'
    return "0.7" if key in ("pace", "kappa", "lambda", "gamma") else "7"


def with_key(*names: str) -> Settings:
    """The defaults but for the keys *names*, in a network of one's own."""
    return load(None, NOWHERE | MINE | {f"SMARTNODE_{n.replace('.', '__')}".upper(): other(n) for n in names})


def test_nothing_changed() -> None:
    """Equal settings change nothing."""
    assert changed(with_key(), with_key()) == ((), ())


@pytest.mark.parametrize("name", [f"{s}.{k}" for s, keys in known_keys().items() for k in keys])
def test_each_key_is_taken_over_or_waits(name: str) -> None:
    """Exactly the changed key is named, as the configuration spells it; limits and the pace are taken over at once."""
    applied, waiting = changed(with_key(), with_key(name))
    assert (*applied, *waiting) == (name,)
    section = name.partition(".")[0]
    at_once = section in ("bandwidth", "cycle", "selection") or name in (
        "storage.quota",
        "storage.keep_free",
        "catalogue.refresh",
        "network.siblings",
        "node.region",
        "node.jurisdiction",
    )
    assert bool(applied) == at_once


def test_several_changes_are_sorted() -> None:
    """Both lists are in the order of the names."""
    names = ("storage.path", "network.id", "storage.quota", "cycle.pace", "bandwidth.upload")
    assert changed(with_key(), with_key(*names)) == (
        ("bandwidth.upload", "cycle.pace", "storage.quota"),
        ("network.id", "storage.path"),
    )


def test_an_explicit_default_is_no_change(tmp_path: Path) -> None:
    """Values are compared, not texts."""
    path = tmp_path / "a.toml"
    path.write_text('[network]\nid = "mine"\n[cycle]\ninterval = "900 s"\n', encoding="utf-8")
    assert changed(with_key(), load(path, {})) == ((), ())
