"""Every key that works is documented with its default, every documented key works, and the contract's other keys are
refused by name.
"""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from smartnode.config.environment import variable_of
from smartnode.config.keys import known_keys, require_key, require_section
from smartnode.config.later import NOT_YET_KEYS, NOT_YET_SECTIONS, is_later
from smartnode.config.load import load
from smartnode.config.reload import AT_RUN_TIME, SECTIONS_AT_RUN_TIME
from smartnode.config.settings import Settings
from smartnode.config.units import duration, size
from smartnode.errors import ConfigError

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

# The public contract: keys of this version and of later ones. None: a section whose keys are not fixed yet.
CONTRACT: dict[str, set[str] | None] = {
    "node": {"name", "language", "region", "jurisdiction"},
    "catalogue": {"urls", "public_keys", "refresh", "allow_unsigned", "shrink_limit", "hold_time"},
    "storage": {"path", "quota", "keep_free"},
    "bandwidth": {"upload", "download", "monthly_upload", "monthly_total", "month_starts_on", "windows"},
    "selection": {"include", "exclude", "bbox", "max_item_size", "target_copies"},
    "network": {
        "id",
        "listen",
        "outgoing",
        "port_forwarding",
        "dht",
        "dht_bootstrap",
        "lan_discovery",
        "allow_private",
        "proxy",
        "announce_ip",
        "siblings",
    },
    "scrub": {"period", "hours", "rate"},
    "sources": None,
    "api": {"listen", "token_file", "public_status"},
    "alerts": None,
    "cycle": {
        "interval",
        "probes",
        "pace",
        "kappa",
        "lambda",
        "gamma",
        "hysteresis",
        "a_guard",
        "a_max",
        "t_mem",
        "t_urg",
        "t_usual",
    },
    "protocol": {"epoch", "quiet_window", "k", "swap_period", "holder_age_swap", "holder_age_shrink", "clock"},
}


def documented() -> dict[str, dict[str, tuple[str, str]]]:
    """(default, reload) of each key in the tables, per section."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"## \[([a-z]+)\]", line):
            section = heading[1]
            found[section] = {}
        elif line.startswith("## "):
            section = ""
        elif section and (row := re.match(r"\| `([a-z_]+)` \| (.*?) \| (yes|no) \| \S", line)):
            found[section][row[1]] = row[2], row[3]
    return found


def test_documented_keys_are_the_known_ones() -> None:
    """Neither an undocumented key nor a documented one that does not work, and in the same order."""
    assert {s: tuple(keys) for s, keys in documented().items()} == dict(known_keys())


def test_documented_defaults_are_the_real_ones() -> None:
    """A default in code marks is what an empty configuration means; one in words is computed or none."""
    defaults = Settings().model_dump(by_alias=True)
    for section, keys in documented().items():
        for key, (shown, _) in keys.items():
            default = defaults[section][key]
            if not shown.startswith("`"):
                assert default is None or (section, key) == ("node", "name"), f"{section}.{key}"
                continue
            value = json.loads(shown.strip("`"))
            if isinstance(default, timedelta):
                value = duration(value)
            elif (section, key) == ("storage", "keep_free"):
                value = size(value)
            assert default == (tuple(value) if isinstance(value, list) else value), f"{section}.{key}"


def test_documented_reloads_are_the_real_ones() -> None:
    """The reload column says what SIGHUP takes over."""
    for section, keys in documented().items():
        for key, (_, reload) in keys.items():
            at_run_time = section in SECTIONS_AT_RUN_TIME or f"{section}.{key}" in AT_RUN_TIME
            assert reload == ("yes" if at_run_time else "no"), f"{section}.{key}"


def test_the_example_loads(tmp_path: Path) -> None:
    """The smallest useful file of the document is one."""
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    found = load(path, {})
    assert found.require_storage() == 500 * 10**9
    assert found.require_catalogue().catalogue.allow_unsigned


def test_variables_are_spelled_as_documented() -> None:
    """The two examples of the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"`{variable_of('storage', 'quota')}=" in text
    assert f"`{variable_of('catalogue', 'urls')}='[" in text


def test_every_key_of_the_contract_works_or_is_refused_as_not_yet() -> None:
    """None is unknown, none is both."""
    for section, keys in CONTRACT.items():
        for key in keys or {"anything"}:
            works = key in known_keys().get(section, ())
            assert works != is_later(section, key), f"{section}.{key}"


def test_nothing_works_or_waits_beside_the_contract() -> None:
    """A key that the contract does not know is neither known nor promised."""
    assert known_keys().keys() | NOT_YET_SECTIONS == CONTRACT.keys()
    assert not known_keys().keys() & NOT_YET_SECTIONS
    for name in NOT_YET_KEYS | {f"{s}.{k}" for s, keys in known_keys().items() for k in keys}:
        section, _, key = name.partition(".")
        contract = CONTRACT[section]
        assert contract is not None
        assert key in contract, name


@pytest.mark.parametrize("name", sorted(NOT_YET_KEYS | NOT_YET_SECTIONS))
def test_what_comes_later_is_refused(name: str) -> None:
    """Not supported yet is said of the key, never silence."""
    section, _, key = name.partition(".")
    with pytest.raises(ConfigError, match=rf"'{re.escape(name)}' is not supported yet"):
        require_key(section, key) if key else require_section(section)
