"""``pin``, ``unpin``, ``exclude``, ``include`` through the real command, on a host where no node runs."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PIN = "c" * 40


@pytest.fixture
def site(config: Any, data: Path) -> str:
    """A configuration with the real catalogue and a quota for half of it."""
    return str(config(catalogue=data / "catalogue-rustac.parquet", quota="50 GB"))


@pytest.fixture
def planned(smartnode: Any, site: str) -> Any:
    """A function that returns the plan of now."""
    return lambda: smartnode("plan", "--json", "--config", site).json


@pytest.fixture
def stranger() -> Iterator[None]:
    """A node of somebody else that answers where this configuration asks."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"node_id": "ab" * 20}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 18699), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def rules(plan: Any, name: str) -> dict[str, int]:
    """Bytes of one torrent by what the plan says of it."""
    found: dict[str, int] = {}
    for entry in (*plan["fetch"], *plan["declined"]):
        if entry["info_hash"] == name:
            found[entry["because"]["rule"]] = found.get(entry["because"]["rule"], 0) + entry["bytes"]
    return found


def test_words_change_the_plan_and_are_taken_back(smartnode: Any, site: str, planned: Any) -> None:
    """A pinned item is fetched whole and first, an excluded one is declined with its rule; taking both back gives the
    first plan again. Every name of an item does.
    """
    before = planned()
    partly = next(e for e in before["fetch"] if e["bytes"] < e["item_bytes"])
    other = next(e for e in before["fetch"] if e["info_hash"] != partly["info_hash"])
    pinned = smartnode("pin", partly["item"], "--json", "--config", site)
    assert (pinned.code, pinned.err) == (0, "")
    assert pinned.json == {
        "item": partly["item"],
        "info_hash": partly["info_hash"],
        "word": "pinned",
        "before": None,
        "running": False,
    }
    excluded = smartnode("exclude", other["info_hash"][:8].upper(), "--config", site)
    assert excluded.code == 0, excluded.err
    assert excluded.out == f"excluded: {other['item']}; no node runs here now, it is heard at the next start\n"
    after = planned()
    assert after["fetch"][0]["info_hash"] == partly["info_hash"]
    assert rules(after, partly["info_hash"]) == {"pinned": partly["item_bytes"]}
    assert rules(after, other["info_hash"]) == {"excluded": other["item_bytes"]}
    assert sum(e["bytes"] for e in after["fetch"]) <= after["quota_bytes"]
    assert smartnode("unpin", partly["item"].rpartition("/")[2], "--config", site).code == 0
    assert smartnode("include", other["info_hash"], "--config", site).code == 0
    assert planned() == before


def test_the_last_word_counts_and_only_it_is_taken_back(smartnode: Any, site: str, planned: Any) -> None:
    """Saying a word twice and taking back what was not said are no errors; a word replaces the other one."""
    item, name = next((e["item"], e["info_hash"]) for e in planned()["fetch"])

    def said(*words: str) -> str:
        ran = smartnode(*words, item, "--config", site)
        assert ran.code == 0, ran.err
        return str(ran.out)

    assert said("unpin") == f"{item} is not pinned: nothing to take back\n"
    assert said("pin").startswith(f"pinned: {item};")
    assert said("pin") == f"{item} is pinned already\n"
    assert said("include") == f"{item} is not excluded but pinned: `smartnode unpin` takes that back\n"
    assert said("exclude").startswith(f"excluded: {item}, which was pinned until now;")
    assert said("unpin") == f"{item} is not pinned but excluded: `smartnode include` takes that back\n"
    assert rules(planned(), name).keys() == {"excluded"}
    assert said("include").startswith(f"no longer excluded: {item};")
    assert smartnode("include", item, "--json", "--config", site).json["word"] is None


def test_a_whole_info_hash_needs_no_catalogue_that_knows_it(smartnode: Any, site: str) -> None:
    """A word may come before its item; later it answers to a prefix too."""
    ran = smartnode("exclude", PIN.upper(), "--json", "--config", site)
    assert (ran.code, ran.json["item"], ran.json["word"]) == (0, PIN, "excluded")
    assert smartnode("include", PIN[:6], "--json", "--config", site).json["before"] == "excluded"


@pytest.mark.parametrize("command", ["pin", "unpin", "exclude", "include"])
def test_an_item_that_nobody_knows_is_usage(smartnode: Any, site: str, command: str) -> None:
    """Exit 2, one line that names the forms; without ITEM too."""
    ran = smartnode(command, "nothing-of-that-name", "--config", site)
    assert ran.code == 2
    assert "no item is named 'nothing-of-that-name'; use collection/id" in ran.err
    assert ran.err.count("\n") == 1
    assert smartnode(command, "--config", site).code == 2


def test_names_that_are_ambiguous_or_without_a_torrent(smartnode: Any, site: str, planned: Any) -> None:
    """Exit 2 with the candidates; an item of which nothing can be fetched is said to be one."""
    for digit in "cd":
        assert smartnode("pin", "abcd" + digit * 36, "--config", site).code == 0
    ran = smartnode("pin", "abcd", "--config", site)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "'abcd' names 2 items: abcdccc" in ran.err
    bare = next(e["item"] for e in planned()["declined"] if e["info_hash"] is None)
    ran = smartnode("pin", bare, "--config", site)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "has no torrent" in ran.err


def test_without_a_catalogue_there_is_no_name(smartnode: Any, config: Any, tmp_path: Path) -> None:
    """No kept catalogue and no source: exit 3; no source in the configuration: exit 2."""
    ran = smartnode("pin", "some-item", "--config", str(config(catalogue=tmp_path / "none.parquet", quota="5 GB")))
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert smartnode("pin", "some-item").code == 2


def test_a_state_that_cannot_be_written_is_storage(smartnode: Any, site: str, planned: Any, tmp_path: Path) -> None:
    """Exit 5 and the cure, nothing half said."""
    item = planned()["fetch"][0]["item"]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.sqlite").mkdir()
    ran = smartnode("pin", item, "--config", site, STATE_DIRECTORY=str(tmp_path / "state"))
    assert (ran.code, ran.err.count("\n")) == (5, 1)
    assert "check its permissions" in ran.err


@pytest.mark.usefixtures("stranger")
def test_a_node_with_its_state_elsewhere_is_not_spoken_past(smartnode: Any, site: str, tmp_path: Path) -> None:
    """The node that answers would never hear the word: exit 2, the cure names the folder, nothing is written."""
    ran = smartnode("pin", PIN, "--config", site, STATE_DIRECTORY=str(tmp_path / "state"))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "STATE_DIRECTORY=" in ran.err
    assert not os.path.lexists(tmp_path / "state")
