"""[selection] through the real command on the real catalogue: both writers carry the boxes that it needs."""

from pathlib import Path
from typing import Any

import pytest

RED_DEER = "[-113.9, 52.2, -113.7, 52.3]"


def planned(smartnode: Any, path: Path, **environment: str) -> Any:
    """The plan of a node with room for everything."""
    ran = smartnode("plan", "--json", "--config", str(path), **environment)
    assert ran.code == 0, ran.err
    return ran.json


@pytest.mark.parametrize("catalogue", ["catalogue-rustac.parquet", "catalogue-stac-geoparquet.parquet"])
def test_a_box_selects_what_touches_it(smartnode: Any, config: Any, data: Path, catalogue: str) -> None:
    """Only datasets that touch Red Deer are fetched: its own two and those of the whole country; the others say why."""
    path = config(catalogue=data / catalogue, quota="500 GB", more=f"[selection]\nbbox = {RED_DEER}")
    plan = planned(smartnode, path)
    fetched = {entry["item"].partition("/")[2] for entry in plan["fetch"]}
    assert sorted(item.partition("-202")[0] for item in fetched) == [
        "ca-ab_red-deer",
        "ca-ab_red-deer",
        "ca_nrcan",
        "ca_versatiles",
    ]
    left_out = [e for e in plan["declined"] if e["because"]["rule"] == "not_selected"]
    assert any("whitehorse" in entry["item"] for entry in left_out)
    assert all("selection.bbox [-113.9, 52.2, -113.7, 52.3]" in entry["because"]["text"] for entry in left_out)
    assert {entry["because"]["evidence"]["key"] for entry in left_out} == {"selection.bbox"}
    assert len(fetched) + len(left_out) == 9


def test_patterns_and_sizes_and_a_pin_that_beats_them(smartnode: Any, config: Any, data: Path) -> None:
    """Every key by the environment too; what is left out by any of them is fetched all the same once it is pinned."""
    path = config(catalogue=data / "catalogue-rustac.parquet", quota="500 GB")
    everything = planned(smartnode, path)
    sizes = {entry["item"]: entry["item_bytes"] for entry in everything["fetch"]}
    assert len(sizes) == 9
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    chosen = {
        "SMARTNODE_SELECTION__EXCLUDE": f'["{smallest}"]',
        "SMARTNODE_SELECTION__MAX_ITEM_SIZE": str(sizes[largest] - 1),
        "SMARTNODE_SELECTION__INCLUDE": '["*"]',
    }
    plan = planned(smartnode, path, **chosen)
    assert {entry["item"] for entry in plan["fetch"]} == sizes.keys() - {largest, smallest}
    reasons = {e["item"]: e["because"]["evidence"] for e in plan["declined"] if e["because"]["rule"] == "not_selected"}
    assert reasons == {
        largest: {"key": "selection.max_item_size", "value": sizes[largest] - 1},
        smallest: {"key": "selection.exclude", "value": smallest},
    }
    assert smartnode("pin", largest, "--config", str(path)).code == 0
    plan = planned(smartnode, path, **chosen)
    assert {entry["item"] for entry in plan["fetch"]} == sizes.keys() - {smallest}
    assert plan["fetch"][0]["because"]["rule"] == "pinned"


def test_a_target_of_copies_leaves_what_nobody_was_seen_with(smartnode: Any, config: Any, data: Path) -> None:
    """No swarm was looked at yet: nothing is known to have its copies, all is fetched. A target of none is refused."""
    path = config(catalogue=data / "catalogue-rustac.parquet", quota="500 GB", more="[selection]\ntarget_copies = 1")
    assert len(planned(smartnode, path)["fetch"]) == 9
    ran = smartnode("plan", "--config", str(path), SMARTNODE_SELECTION__TARGET_COPIES="0")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "SMARTNODE_SELECTION__TARGET_COPIES: Input should be greater than or equal to 1" in ran.err
