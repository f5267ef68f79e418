"""The volunteer's word on a whole node: said before its start and while it runs, by the real command."""

import json
import os
import subprocess
import sys
from typing import Any

MIB = 1 << 20


def said(node: Any, *arguments: str) -> Any:
    """Run a command with the node's own configuration and folders; returns its JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", "smartnode", *arguments, "--json", "--config", str(node.folder / "node.toml")],
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
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_word_is_obeyed_before_the_start_and_while_it_runs(site: Any, node: Any, wait: Any) -> None:
    """What is excluded before the first start is not fetched; once included and pinned a running node hears it at once,
    although its next cycle is an hour away; what is excluded on its way stops, and what is held of it stays.
    """
    site.publish({"a.bin": 8 * MIB, "b.bin": 64 * MIB}, piece_length=MIB)
    one = node(57)
    one.configure(catalogue=site.catalogue, quota=256 * MIB, interval="1 h", pace=1.0, download="2 MiB/s")
    assert said(one, "exclude", "b.bin")["running"] is False
    one.start()
    wait("the other item", lambda: len(one.held("a.bin")) == 8)
    assert not one.held("b.bin")
    why = said(one, "why", "b.bin")
    assert (why["word"], why["plan"]["declined"][0]["because"]["rule"]) == ("excluded", "excluded")

    pinned = said(one, "pin", "e2e/b.bin")
    assert (pinned["running"], pinned["before"], pinned["word"]) == (True, "excluded", "pinned")
    wait("the pinned item", lambda: len(one.held("b.bin")) > 4)
    assert said(one, "why", "b.bin")["plan"]["fetch"][0]["because"]["rule"] == "pinned"

    said(one, "exclude", site.torrents["b.bin"].info_hash[:8])
    wait("the end of fetching", lambda: one.status()["in_flight_bytes"] == 0, deadline_s=20)
    left = one.held("b.bin")
    assert 4 < len(left) < 64
    rows = {row["item"]: row for row in said(one, "list")["items"]}
    assert (rows["e2e/b.bin"]["word"], rows["e2e/a.bin"]["word"]) == ("excluded", None)
    assert one.stop()
    one.start()
    assert one.held("b.bin") == left
    assert one.status()["in_flight_bytes"] == 0
