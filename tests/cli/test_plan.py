"""``plan`` on the real catalogue, on a host that never ran a node."""

from pathlib import Path
from typing import Any

import pytest

ARCHIVE = 100_569_228_195 // 1_000_000 * 1_000_000  # 100.57 GB


@pytest.mark.parametrize("catalogue", ["catalogue-rustac.parquet", "catalogue-stac-geoparquet.parquet"])
@pytest.mark.parametrize("gigabytes", [5, 50, 500])
def test_a_quota_is_used_and_never_exceeded(
    smartnode: Any, config: Any, data: Path, catalogue: str, gigabytes: int
) -> None:
    """At least 80 % of a quota that the archive can fill is used, never more than the quota, by whole segments."""
    quota = gigabytes * 10**9
    path = config(catalogue=data / catalogue, quota=f"{gigabytes} GB")
    ran = smartnode("plan", "--json", "--config", str(path))
    assert ran.code == 0, ran.err
    plan = ran.json
    assert plan["quota_bytes"] == quota
    fetched = sum(e["bytes"] for e in plan["fetch"])
    archive = sum(
        e["item_bytes"]
        for e in {e["info_hash"]: e for e in (*plan["fetch"], *plan["declined"]) if e["info_hash"]}.values()
    )
    assert 100.5e9 < archive < 100.6e9
    assert 0.8 * min(quota, archive) <= fetched <= quota
    assert not plan["keep"]
    assert not plan["evict"]
    for entry in plan["fetch"]:
        pieces = [p for first, last in entry["segments"] for p in range(first, last + 1)]
        assert len(pieces) == len(set(pieces))
        assert entry["bytes"] <= entry["item_bytes"]
        assert entry["because"]["text"]
    if gigabytes == 5:
        assert any(e["bytes"] < e["item_bytes"] for e in plan["fetch"])
    without = [e for e in plan["declined"] if e["info_hash"] is None]
    assert len(without) == 2
    assert all(e["because"]["rule"] == "no_torrent" for e in without)


def test_the_same_question_gets_the_same_answer_offline(
    smartnode: Any, config: Any, data: Path, tmp_path: Path
) -> None:
    """With the source gone the plan is made from the kept snapshot, is the same, and says why it is degraded."""
    copy = tmp_path / "catalogue.parquet"
    copy.write_bytes((data / "catalogue-rustac.parquet").read_bytes())
    path = config(catalogue=copy, quota="50 GB")
    first = smartnode("plan", "--json", "--config", str(path)).json
    copy.unlink()
    second = smartnode("plan", "--json", "--config", str(path))
    assert second.code == 0
    assert second.json["fetch"] == first["fetch"]
    assert any(d.startswith("catalogue: ") for d in second.json["degraded"])
    assert not (tmp_path / "storage").exists()


def test_a_catalogue_that_never_was_is_refused(smartnode: Any, config: Any, tmp_path: Path) -> None:
    """No snapshot and no source: exit 3 and one line."""
    ran = smartnode("plan", "--config", str(config(catalogue=tmp_path / "none.parquet", quota="5 GB")))
    assert ran.code == 3
    assert ran.err.count("\n") == 1


def test_a_person_can_read_it(smartnode: Any, config: Any, data: Path) -> None:
    """Without --json there are tables with reasons."""
    ran = smartnode("plan", "--config", str(config(catalogue=data / "catalogue-rustac.parquet", quota="5 GB")))
    assert ran.code == 0
    assert "because" in ran.out
    assert "quota 5.00 GB" in ran.out


def test_inspect_counts_the_real_catalogues(smartnode: Any, data: Path) -> None:
    """Both writers: 11 items, 9 with a torrent, none rejected; it needs no configuration."""
    for name in ("catalogue-rustac.parquet", "catalogue-stac-geoparquet.parquet"):
        ran = smartnode("catalogue", "inspect", str(data / name), "--json")
        assert ran.code == 0, ran.err
        assert (ran.json["items"], ran.json["with_torrent"], ran.json["rejected"]) == (11, 9, [])


@pytest.mark.parametrize("name", ["html", "empty", "trunc_half", "bomb_rows", "bomb_dict"])
def test_inspect_refuses_what_is_no_catalogue(smartnode: Any, data: Path, name: str) -> None:
    """Exit 3, one line, no traceback."""
    ran = smartnode("catalogue", "inspect", str(data / "malformed" / f"{name}.parquet"))
    assert ran.code == 3
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
