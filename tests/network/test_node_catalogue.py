"""Trackers and web seeds come and go in the catalogue while a node holds what they serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from smartnode.metainfo import bencode
from tests.nodes import COLLECTION, MIB, RunningNode, Site, wait_for

FIRST, SECOND = "127.0.100.1", "127.0.100.2"


def test_a_tracker_that_the_catalogue_names_later_hears_of_what_is_held(
    tmp_path: Path, nginx: Callable[..., Any], tracker: Callable[..., Any], started: Callable[..., RunningNode]
) -> None:
    """The .torrent names no tracker, the catalogue one, later another instead: that one then lists the node as a seed,
    and nothing is announced to the first any more.
    """
    folder = tmp_path / "www"
    folder.mkdir()
    site = Site(folder=folder, origin=nginx(folder))
    site.publish({"a.bin": 2 * MIB}, piece_length=MIB)
    hashes = [metainfo.info_hash for metainfo in site.torrents.values()]
    first, second = tracker(hashes, host=FIRST), tracker(hashes, host=SECOND)
    site.name_trackers([first.udp])
    node = RunningNode(tmp_path / "node", host="127.0.38.1", api_port=18_738)
    node.configure(catalogue=site.catalogue, quota=16 * MIB, interval="3 s", refresh="3 s", pace=1.0)
    started(node)
    wait_for("the item", lambda: len(node.held("a.bin")) == 2)
    wait_for("the first tracker", lambda: announced(node) == {first.udp}, deadline_s=30)

    site.name_trackers([second.udp])
    wait_for("the second tracker", lambda: announced(node) == {second.udp}, deadline_s=30)
    wait_for("the second tracker to count a seed", lambda: seeds(second, hashes[0]) == 1, deadline_s=30)
    assert len(node.held("a.bin")) == 2


def test_a_web_seed_that_the_catalogue_names_later_is_used(
    tmp_path: Path, nginx: Callable[..., Any], started: Callable[..., RunningNode]
) -> None:
    """The only web seed of an item that is wanted is gone; the catalogue corrects its address, and the item arrives."""
    folder = tmp_path / "www"
    folder.mkdir()
    site = Site(folder=folder, origin=nginx(folder))
    site.publish({"a.bin": 2 * MIB}, piece_length=MIB, mirrors={"a.bin": []})
    node = RunningNode(tmp_path / "node", host="127.0.38.1", api_port=18_738)
    node.configure(catalogue=site.catalogue, quota=16 * MIB, interval="3 s", refresh="3 s", pace=1.0)
    started(node)
    wait_for("the mirror to be gone", lambda: mirrors(node) == ["gone"], deadline_s=30)
    site.name_web_seed("a.bin", f"{site.origin.url}/a.bin")
    wait_for("the item", lambda: len(node.held("a.bin")) == 2, deadline_s=30)
    assert mirrors(node) == ["live"]


def test_the_mirror_of_a_superseded_version_is_counted_no_more(
    tmp_path: Path, nginx: Callable[..., Any], started: Callable[..., RunningNode]
) -> None:
    """The address of the latest version serves other bytes from one moment to the next: the node finds out as soon as
    the catalogue says deprecated, not with the next look in six hours, and keeps what it holds.
    """
    folder = tmp_path / "www"
    folder.mkdir()
    site = Site(folder=folder, origin=nginx(folder))
    site.publish({"a.bin": 2 * MIB}, piece_length=MIB)
    node = RunningNode(tmp_path / "node", host="127.0.38.1", api_port=18_738)
    node.configure(catalogue=site.catalogue, quota=16 * MIB, interval="3 s", refresh="3 s", pace=1.0)
    started(node)
    wait_for("the item", lambda: len(node.held("a.bin")) == 2)
    assert mirrors(node) == ["live"]
    site.supersede("a.bin", bytes(2 * MIB))
    wait_for("the mirror to be found out", lambda: mirrors(node) == ["banned"], deadline_s=30)
    assert len(node.held("a.bin")) == 2


def test_an_item_without_a_mirror_where_the_node_is_is_worth_more_to_it(
    tmp_path: Path, nginx: Callable[..., Any], tracker: Callable[..., Any], started: Callable[..., RunningNode]
) -> None:
    """The catalogue says where the mirrors are, the configuration where the node is; `why` names what lacks one."""
    folder = tmp_path / "www"
    folder.mkdir()
    site = Site(folder=folder, origin=nginx(folder))
    site.publish({"a.bin": 2 * MIB, "b.bin": 2 * MIB}, piece_length=MIB)
    site.name_region("a.bin", "nl")
    site.name_region("b.bin", "ca-on")
    site.name_trackers([tracker([each.info_hash for each in site.torrents.values()], host=FIRST).udp])
    node = RunningNode(tmp_path / "node", host="127.0.38.1", api_port=18_738)
    node.configure(catalogue=site.catalogue, quota=16 * MIB, interval="3 s", refresh="3 s", pace=1.0)
    path = node.folder / "node.toml"
    path.write_text(path.read_text().replace("[node]\n", '[node]\nregion = "ca-on"\n'))
    started(node)
    wait_for("both items", lambda: len(node.held()) == 2 and lacking(node, "a.bin") == "ca-on", deadline_s=60)
    assert lacking(node, "b.bin") is None


def lacking(node: RunningNode, name: str) -> str | None:
    """The place of the node that no live mirror of an item is in, as the plan says."""
    plan = (node.ask(f"/api/v1/items/{COLLECTION}/{name}") or {}).get("plan", {})
    found = [entry["because"]["evidence"]["no_mirror_in"] for entry in plan.get("keep", ())]
    return found[0] if found else None


def mirrors(node: RunningNode) -> list[str]:
    """States of the item's web seeds."""
    return [mirror["state"] for mirror in (node.ask(f"/api/v1/items/{COLLECTION}/a.bin") or {}).get("mirrors", ())]


def announced(node: RunningNode) -> set[str]:
    """Trackers that answered and are told of torrents."""
    status = node.status()
    return {t["url"] for t in status["trackers"] if t["age_s"] is not None and t["torrents"]} if status else set()


def seeds(tracker: Any, info_hash: str) -> int:
    """Seeds that the tracker counts."""
    where = tracker.http.replace("announce", "scrape")
    raw = httpx.get(f"{where}?info_hash={quote(bytes.fromhex(info_hash))}", trust_env=False).content
    counted = bencode.decode(raw)[b"files"].get(bytes.fromhex(info_hash), {})
    return int(counted.get(b"complete", 0))
