"""The API shows the published status and nothing else."""

import dataclasses
from typing import Any

import httpx
import pytest

from smartnode.api.app import DECISIONS_MAX, make_app
from smartnode.api.server import Server
from smartnode.errors import ConfigError


async def test_status_has_the_keys_of_the_contract(client: httpx.AsyncClient) -> None:
    """Others rely on these keys and units."""
    body = (await client.get("/api/v1/status")).json()
    assert body["state"] == "fetching"
    assert body["degraded"] == ["catalogue: the source is down"]
    assert (body["quota_bytes"], body["held_bytes"], body["allocated_bytes"]) == (1000, 30, 40)
    assert (body["items_held"], body["segments_held"], body["in_flight_bytes"]) == (1, 1, 10)
    assert body["catalogue"].items() >= {"seq": None, "items": 3, "verified": False}.items()
    assert body["catalogue"]["age_s"] > 0


async def test_trackers_and_web_seeds_say_why_they_are_not_used(client: httpx.AsyncClient) -> None:
    """Status counts them, the evidence of an item names each with its reason; an unknown count stays unknown."""
    status = (await client.get("/api/v1/status")).json()
    assert status["mirrors"] == {"live": 1, "waiting": 0, "gone": 1, "refused": 0, "banned": 0}
    (tracker,) = status["trackers"]
    assert (tracker["url"], tracker["failures"], tracker["reason"]) == ("udp://t.example:6969/announce", 3, "timed out")
    body = (await client.get("/api/v1/items/held")).json()
    assert [(m["url"], m["state"], m["reason"]) for m in body["mirrors"]] == [
        ("https://one.example/f", "live", ""),
        ("https://two.example/f", "gone", "404"),
    ]
    scrape = body["view"]["scrape"]
    assert (scrape["complete"], scrape["incomplete"], scrape["downloaded"]) == (2, None, 7)
    holder = body["view"]["holders"][0]
    assert (holder["upload_only"], holder["pieces_per_s"]) == (True, 0.5)


async def test_items_lists_what_is_held_with_inclusive_ranges(client: httpx.AsyncClient) -> None:
    """A partial item shows the pieces it has and the segments that are whole."""
    (row,) = (await client.get("/api/v1/items")).json()["items"]
    assert row["item"] == "c/held"
    assert row["have"] == [[0, 2]]
    assert row["segments"] == [[0, 1]]
    assert row["partial"]


async def test_the_volunteers_word_is_shown(client: httpx.AsyncClient) -> None:
    """In the row of what is held, in the evidence of an item, and of what is not held too."""
    body = (await client.get("/api/v1/items")).json()
    assert [row["word"] for row in body["items"]] == ["pinned"]
    assert body["words"][1] == {
        "item": "c/other",
        "info_hash": "b" * 40,
        "word": "excluded",
        "said_at": "2026-01-01T12:00:00Z",
    }
    words = [(await client.get(f"/api/v1/items/{name}")).json()["word"] for name in ("held", "other", "plain")]
    assert words == ["pinned", "excluded", None]


@pytest.mark.parametrize("name", ["a" * 40, "aaaa", "c/held", "held", "AAAAAA"])
async def test_an_item_answers_to_each_of_its_names(client: httpx.AsyncClient, name: str) -> None:
    """Info-hash, a prefix of it, collection/id and an unambiguous id all lead to the same evidence."""
    body = (await client.get(f"/api/v1/items/{name}")).json()
    assert body["item"] == "c/held"
    assert body["view"]["holders"][0]["pieces"] == 64
    assert body["plan"]["fetch"][0]["because"]["evidence"] == {"copies": 1, "mirrors": None}
    assert body["plan"]["fetch"][0]["because"]["change"] == "not fetched once 2 are seen"
    assert [entry["item"] for entry in body["plan"]["declined"]] == [body["item"]]
    assert body["level"] == 1.0
    assert [(each["pieces"], each["pieces_of"]) for each in body["view"]["holders"]] == [(64, 64)]
    assert body["decisions"][0]["outcome"] == "started"


async def test_an_item_without_a_torrent_is_no_error(client: httpx.AsyncClient) -> None:
    """It is in the catalogue, and nothing of it is held."""
    body = (await client.get("/api/v1/items/plain")).json()
    assert (body["info_hash"], body["held"], body["view"], body["decisions"]) == (None, None, None, [])


async def test_unknown_and_ambiguous_names_are_told_apart(client: httpx.AsyncClient, board: Any) -> None:
    """404 names the way on, 409 names the candidates; three digits are too few to be a prefix."""
    assert (await client.get("/api/v1/items/nothing")).status_code == 404
    assert (await client.get("/api/v1/items/aaa")).status_code == 404
    twin = dataclasses.replace(board.now.items[1], key=dataclasses.replace(board.now.items[0].key, collection="d"))
    board.now = dataclasses.replace(board.now, items=(*board.now.items, twin))
    answer = await client.get("/api/v1/items/held")
    assert answer.status_code == 409
    assert "c/held" in answer.json()["error"]
    assert "d/held" in answer.json()["error"]


async def test_decisions_are_bounded_and_filtered(client: httpx.AsyncClient, board: Any) -> None:
    """A reader cannot ask for the whole history at once, nor with nonsense."""
    await client.get("/api/v1/decisions", params={"limit": 10**9})
    await client.get("/api/v1/decisions", params={"info_hash": "A" * 40, "limit": -3})
    assert board.asked == [(DECISIONS_MAX, None), (1, "a" * 40)]
    for query in ({"limit": "many"}, {"info_hash": "xyz"}):
        assert (await client.get("/api/v1/decisions", params=query)).status_code == 400


async def test_health_is_a_listening_port(client: httpx.AsyncClient, board: Any) -> None:
    """A node that nobody can reach is not healthy; behind a proxy nothing listens, and that is as it should be."""
    assert (await client.get("/healthz")).status_code == 200
    board.now = dataclasses.replace(board.now, listen_port=0)
    assert (await client.get("/healthz")).status_code == 503
    board.now = dataclasses.replace(board.now, proxy="socks5://127.0.0.1:1080")
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/api/v1/status")).json()["proxy"] == "socks5://127.0.0.1:1080"


async def test_foreign_host_names_are_refused(client: httpx.AsyncClient) -> None:
    """A web page that rebinds its name to loopback reads nothing."""
    assert (await client.get("/api/v1/status", headers={"Host": "evil.example"})).status_code == 400


async def test_a_taken_port_names_the_key(board: Any) -> None:
    """The second node on one port ends with a configuration error that names api.listen."""
    first = Server(make_app(board, hosts=("127.0.0.1",)), host="127.0.0.1", port=0)
    await first.start()
    second = Server(make_app(board, hosts=("127.0.0.1",)), host="127.0.0.1", port=first.port)
    with pytest.raises(ConfigError, match=r"api\.listen"):
        await second.start()
    await first.stop()
