"""One whole node through its days: faults of the world cost a step, never the node, and are said in status."""

import shutil
import time
from pathlib import Path
from typing import Any

import psutil

MIB = 1 << 20


def steady(node: Any) -> bool:
    """The node has nothing left to do."""
    status = node.status()
    return bool(status["state"] == "steady" and status["cycle"] > 1 and status["held_bytes"])


def test_one_bad_item_never_blocks_the_others(site: Any, node: Any, wait: Any) -> None:
    """An item whose .torrent is gone and one whose .torrent is another's are declined with the reason; the rest is
    held.
    """
    site.publish({"good.bin": 8 * MIB, "gone.bin": 4 * MIB, "swapped.bin": 4 * MIB}, piece_length=MIB)
    (site.folder / "gone.bin.torrent").unlink()
    shutil.copy(site.folder / "good.bin.torrent", site.folder / "swapped.bin.torrent")
    one = node(41)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the good item", lambda: len(one.held("good.bin")) == 8)
    for name, text in (("gone.bin", "404"), ("swapped.bin", "torrent:info_hash")):
        body = wait(f"the reason of {name}", lambda n=name: _declined(one, n))
        assert body["because"]["rule"] == "failed"
        assert text in body["because"]["text"]
    assert one.held("gone.bin") == one.held("swapped.bin") == set()
    assert one.stop()
    assert one.process.exit_code == 0


def _declined(node: Any, name: str) -> Any:
    entries = node.ask(f"/api/v1/items/{name}")["plan"]["declined"]
    return entries[0] if entries else None


def test_whole_items_are_files_that_anybody_may_open(site: Any, node: Any, wait: Any) -> None:
    """A whole item lies under its collection and id with the torrent's own name and the publisher's bytes."""
    site.publish({"map.bin": 4 * MIB + 17}, piece_length=MIB)
    one = node(42)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    digits = site.torrents["map.bin"].info_hash[:8]
    placed = one.folder / "data" / "e2e" / f"map.bin~{digits}" / "map.bin"
    wait("the whole file", placed.exists)
    assert placed.read_bytes() == site.files["map.bin"].read_bytes()


def test_the_world_may_end_and_nothing_is_let_go(site: Any, node: Any, wait: Any) -> None:
    """Catalogue, mirror and .torrent gone, the node restarted: it holds and serves what it had and says degraded."""
    site.publish({"a.bin": 8 * MIB}, piece_length=MIB)
    one = node(43)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the item", lambda: len(one.held("a.bin")) == 8)
    assert one.stop()
    site.origin.stop()
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("a cycle", lambda: one.status()["cycle"] > 1)
    assert len(one.held("a.bin")) == 8
    status = wait("the reason", lambda: one.status() if one.status()["degraded"] else None)
    assert any(reason.startswith("catalogue: ") for reason in status["degraded"])
    assert status["catalogue"]["items"] == 1
    evicted = [d for d in one.ask("/api/v1/decisions")["decisions"] if d["action"] == "evict"]
    assert evicted == []


def test_an_unmounted_root_is_never_a_loss(site: Any, node: Any, wait: Any) -> None:
    """With its sentinel gone the node fetches and evicts nothing, says why, and goes on when the disk is back."""
    site.publish({"a.bin": 8 * MIB}, piece_length=MIB)
    one = node(44)
    one.configure(catalogue=site.catalogue, quota=64 * MIB, pace=0.02)
    one.start()
    wait("some pieces", lambda: one.held("a.bin"))
    sentinel = one.folder / "data" / ".smartnode-root"
    aside = one.folder / "aside"
    sentinel.rename(aside)
    wait("the reason", lambda: any(r.startswith("disk: ") for r in one.status()["degraded"]))
    before = one.status()["cycle"]
    wait("more cycles", lambda: one.status()["cycle"] > before + 2)
    held = one.held("a.bin")
    assert held
    aside.rename(sentinel)
    wait("the node to go on", lambda: not one.status()["degraded"] and len(one.held("a.bin")) == 8)


def test_a_lowered_quota_waits_and_says_so(site: Any, node: Any, wait: Any) -> None:
    """Over quota nothing is fetched and nothing is let go without proof; the plan names the missing evidence."""
    site.publish({"a.bin": 32 * MIB}, piece_length=MIB)
    one = node(45)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the item", lambda: len(one.held("a.bin")) == 32)
    one.configure(catalogue=site.catalogue, quota=16 * MIB)
    one.hang_up()
    wait("the state", lambda: one.status()["state"] == "over_quota")
    entry = wait("the refusal", lambda: one.ask("/api/v1/items/a.bin")["plan"]["evict"])[0]
    assert not entry["permitted"]
    assert entry["because"]["rule"] == "over_quota"
    assert len(one.held("a.bin")) == 32
    refused = [d for d in one.ask("/api/v1/decisions")["decisions"] if d["outcome"] == "refused"]
    assert len(refused) == 1


def test_sigterm_ends_within_ten_seconds_while_fetching(site: Any, node: Any, wait: Any) -> None:
    """A node in the middle of its work stops cleanly: exit 0, and what it held is there at the next start."""
    site.publish({"a.bin": 256 * MIB}, piece_length=MIB)
    one = node(46)
    one.configure(catalogue=site.catalogue, quota=400 * MIB, pace=0.2)
    one.start()
    wait("some pieces", lambda: len(one.held("a.bin")) > 5)
    held = one.held("a.bin")
    began = time.monotonic()
    assert one.stop()
    assert time.monotonic() - began < 10
    assert one.process.exit_code == 0
    one.start()
    assert held <= wait("the pieces", lambda: one.held("a.bin"))


def test_two_nodes_never_share_a_state(site: Any, node: Any, tmp_path: Path) -> None:
    """The second daemon on one state ends with exit 5 and names the first one's pid."""
    site.publish({"a.bin": MIB}, piece_length=MIB)
    one = node(47)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    second = type(one.process)("second", tmp_path / "second")
    shutil.rmtree(second.folder / "state")
    (second.folder / "state").symlink_to(one.folder / "state")
    shutil.copy(one.folder / "node.toml", second.folder / "node.toml")
    second.start()
    assert second.end(deadline_s=20)
    assert second.exit_code == 5
    assert str(one.process.pid) in second.log_tail()


def test_nodes_fill_each_other_without_the_origin(site: Any, node: Any, wait: Any) -> None:
    """A second node that never saw the mirror gets every piece from the first, found by the private DHT."""
    site.publish({"a.bin": 16 * MIB}, piece_length=MIB)
    one, two = node(48), node(49)
    one.configure(catalogue=site.catalogue, quota=64 * MIB, dht=())
    one.start()
    wait("the first", lambda: len(one.held("a.bin")) == 16)
    port = one.status()["listen_port"]
    (site.folder / "a.bin").unlink()
    two.configure(catalogue=site.catalogue, quota=64 * MIB, dht=(f"{one.host}:{port}",))
    two.start()
    wait("the second", lambda: len(two.held("a.bin")) == 16, deadline_s=90)
    (holder,) = wait("the evidence", lambda: two.ask("/api/v1/items/a.bin")["view"]["holders"])
    assert holder["smartnode"]
    assert holder["pieces"] == 16
    assert holder["witness"] in {"wire_probe", "peer_info"}


def test_a_late_catalogue_is_asked_for_again(site: Any, node: Any, wait: Any) -> None:
    """A node that starts before its catalogue is there does not wait for the next poll an hour later."""
    site.publish({"a.bin": 4 * MIB}, piece_length=MIB)
    catalogue, aside = site.folder / "catalogue.parquet", site.folder / "aside"
    catalogue.rename(aside)
    one = node(50)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the reason", lambda: any(r.startswith("catalogue: ") for r in one.status()["degraded"]))
    aside.rename(catalogue)
    wait("the item", lambda: len(one.held("a.bin")) == 4)
    wait("the reason to go", lambda: not one.status()["degraded"])


def test_an_absent_root_is_not_written_to(site: Any, node: Any, wait: Any) -> None:
    """With the whole data folder gone in the middle of a fetch nothing is written to the bare mount point; when it is
    back the node goes on with all that it held.
    """
    site.publish({"a.bin": 192 * MIB}, piece_length=MIB)
    one = node(51)
    one.configure(catalogue=site.catalogue, quota=400 * MIB, pace=0.1, download="8 MB/s")
    one.start()
    wait("some pieces", lambda: len(one.held("a.bin")) > 5)
    data, away = one.folder / "data", one.folder / "away"
    data.rename(away)
    data.mkdir()
    wait("the reason", lambda: any(r.startswith("disk: ") for r in one.status()["degraded"]))
    before = one.status()["cycle"]
    wait("what was on its way", lambda: one.status()["cycle"] > before + 1)
    held = len(one.held("a.bin"))
    wait("more cycles", lambda: one.status()["cycle"] > before + 4)
    assert len(one.held("a.bin")) == held
    late = sum(f.stat().st_blocks * 512 for f in data.rglob("*") if f.is_file())
    assert late < 24 * MIB  # what was on its way in the two seconds until it was noticed
    shutil.rmtree(data)
    away.rename(data)
    wait("the node to go on", lambda: len(one.held("a.bin")) > held + 5)


def test_a_lowered_quota_stops_what_is_on_its_way(site: Any, node: Any, wait: Any) -> None:
    """When the quota is lowered in the middle of a fetch the promises are dropped: disk use ends within the quota, or
    where it was, and every block belongs to a piece that is held.
    """
    names = [f"{n}.bin" for n in range(8)]
    site.publish(dict.fromkeys(names, 24 * MIB), piece_length=MIB)
    one = node(52)
    one.configure(catalogue=site.catalogue, quota=256 * MIB, pace=1.0, download="8 MB/s")
    one.start()
    wait("some pieces", lambda: one.status()["held_bytes"] > 8 * MIB, pause_s=0.02)
    quota, then = 100 * MIB, one.allocated()
    one.configure(catalogue=site.catalogue, quota=quota, pace=1.0, download="8 MB/s")
    one.hang_up()
    wait("the limit", lambda: one.status()["quota_bytes"] == quota)
    wait("the end", lambda: one.status()["in_flight_bytes"] == 0, deadline_s=90)
    assert one.allocated() <= max(quota, then + 16 * MIB)
    wait(
        "blocks to be those of held pieces",
        lambda: one.allocated() - one.status()["held_bytes"] < 4 * MIB,
        deadline_s=15,
    )


def test_a_stalling_torrent_server_delays_nothing(site: Any, node: Any, wait: Any, stalling: str) -> None:
    """While a .torrent server drips, the good item is fetched and the floor is restored within a cycle's bound."""
    site.publish({"good.bin": 16 * MIB, "slow.bin": 4 * MIB}, piece_length=MIB, hrefs={"slow.bin": stalling})
    one = node(53)
    one.configure(catalogue=site.catalogue, quota=128 * MIB)
    one.start()
    wait("the good item", lambda: len(one.held("good.bin")) == 16, deadline_s=60)
    free = psutil.disk_usage(str(one.folder)).free
    one.configure(catalogue=site.catalogue, quota=128 * MIB, keep_free=free + 8 * MIB)
    one.hang_up()
    wait("the eviction", lambda: len(one.held("good.bin")) < 16, deadline_s=45)
    assert "within" in wait("the reason", lambda: _declined(one, "slow.bin"))["because"]["text"]


def test_a_lost_state_is_no_loss_of_data(site: Any, node: Any, wait: Any) -> None:
    """With every resume file gone, a node whose quota is full takes up again what lies on its disk, without a byte
    from anywhere.
    """
    site.publish({"a.bin": 64 * MIB, "b.bin": 4 * MIB}, piece_length=MIB)
    one = node(54)
    one.configure(catalogue=site.catalogue, quota=24 * MIB, pace=1.0)
    one.start()
    wait("a full quota", lambda: steady(one) and one.status()["held_bytes"] > 18 * MIB)
    held = {name: one.held(name) for name in ("a.bin", "b.bin")}
    assert one.stop()
    shutil.rmtree(one.folder / "state" / "resume")
    for name in held:
        (site.folder / name).unlink()
    one.start()
    wait("the data", lambda: {name: one.held(name) for name in held} == held, deadline_s=60)


def test_a_floor_above_the_disk_is_a_slip(site: Any, node: Any, wait: Any) -> None:
    """keep_free beyond the file system's size would cost every copy and never be reached: it is refused and said."""
    site.publish({"a.bin": 8 * MIB}, piece_length=MIB)
    one = node(55)
    one.configure(catalogue=site.catalogue, quota=64 * MIB)
    one.start()
    wait("the item", lambda: len(one.held("a.bin")) == 8)
    total = psutil.disk_usage(str(one.folder)).total
    one.configure(catalogue=site.catalogue, quota=64 * MIB, keep_free=2 * total)
    one.hang_up()
    wait("the reason", lambda: any("storage.keep_free" in r for r in one.status()["degraded"]))
    assert len(one.held("a.bin")) == 8
