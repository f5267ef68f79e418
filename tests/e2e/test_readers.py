"""status, list and why ask the running node and say the same to a person and to a program."""

import json
import os
import subprocess
import sys
from typing import Any

MIB = 1 << 20


def ask(node: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a reader with the node's own configuration and folders."""
    return subprocess.run(
        [sys.executable, "-m", "smartnode", *arguments, "--config", str(node.folder / "node.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "STATE_DIRECTORY": str(node.folder / "state"),
            "CACHE_DIRECTORY": str(node.folder / "cache"),
        },
    )


def test_the_readers_of_a_running_node(site: Any, node: Any, wait: Any) -> None:
    """Every reader ends with 0; JSON has the keys of the contract; an item answers to its id and to its hash; what is
    unknown is exit 1 with the node's own words; `plan` beside the node keeps what it holds.
    """
    site.publish({"a.bin": 8 * MIB, "b.bin": 4 * MIB}, piece_length=MIB)
    one = node(56)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the items", lambda: len(one.held("a.bin")) == 8 and len(one.held("b.bin")) == 4)

    said = json.loads(ask(one, "status", "--json").stdout)
    contract = {"state", "degraded", "quota_bytes", "held_bytes", "allocated_bytes", "items_held", "segments_held"}
    assert said.keys() >= contract
    assert said["catalogue"].keys() >= {"seq", "items", "verified", "age_s"}
    assert (said["held_bytes"], said["items_held"]) == (12 * MIB, 2)
    person = ask(one, "status")
    assert person.returncode == 0
    assert "holds 12.58 MB of 67.11 MB" in person.stdout

    assert {row["item"] for row in json.loads(ask(one, "list", "--json").stdout)["items"]} == {"e2e/a.bin", "e2e/b.bin"}
    assert "2 torrents held" in ask(one, "list").stdout

    by_id = json.loads(ask(one, "why", "e2e/a.bin", "--json").stdout)
    by_hash = json.loads(ask(one, "why", site.torrents["a.bin"].info_hash[:9], "--json").stdout)
    assert by_id["info_hash"] == by_hash["info_hash"] == site.torrents["a.bin"].info_hash
    assert by_id["decisions"][0]["action"] == "fetch"
    assert by_id["plan"]["keep"][0]["because"]["text"]
    assert "because" in ask(one, "why", "a.bin").stdout
    unknown = ask(one, "why", "nothing-of-that-name")
    assert unknown.returncode == 1
    assert "smartnode list" in unknown.stderr
    assert unknown.stderr.count("\n") == 1

    def kept() -> bool:
        plan = json.loads(ask(one, "plan", "--json").stdout)
        return not plan["fetch"] and {entry["item"] for entry in plan["keep"]} == {"e2e/a.bin", "e2e/b.bin"}

    wait("the plan beside the node", kept, deadline_s=30)
