"""status, list, why: what the running node says of itself, asked over its API."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from smartnode.cli.show import print_json, print_line, print_table, size_text
from smartnode.config.load import load
from smartnode.config.settings import Settings
from smartnode.errors import NodeUnreachableError, SmartnodeError

ANSWER_DEADLINE_S = 10.0

_HOW = {
    "wire_probe": "asked directly",
    "peer_info": "connected to this node",
    "dht": "named by the DHT",
    "tracker": "named by a tracker",
}
"""How a fact was seen, for people."""


class NodeApi:
    """A running node as its API shows it."""

    def __init__(self, settings: Settings) -> None:
        """Ask the node whose ``api.listen`` is in *settings*."""
        host = settings.api.host
        self._base = f"http://{f'[{host}]' if ':' in host else host}:{settings.api.port}"

    def get(self, path: str) -> Any:
        """Return the JSON at *path*; NodeUnreachableError when no node answers, SmartnodeError with the node's own
        words.
        """
        try:
            with httpx.Client(trust_env=False, timeout=ANSWER_DEADLINE_S) as client:
                answer = client.get(self._base + path)
                body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            message = f"no running node answers at {self._base} ({error})"
            raise NodeUnreachableError(
                message, cure="start it with `smartnode run`, or name its address in api.listen"
            ) from error
        if answer.status_code != httpx.codes.OK:
            said = body.get("error") if isinstance(body, dict) else None
            raise SmartnodeError(said or f"the node answered {answer.status_code}")
        return body


def show_status(config: Path | None, *, as_json: bool) -> None:
    """Print the node in a few lines, or as JSON."""
    status = NodeApi(load(config)).get("/api/v1/status")
    if as_json:
        print_json(status)
        return
    catalogue = status["catalogue"]
    print_line(f"{status['name']}: {status['state']} (cycle {status['cycle']}, version {status['version']})")
    print_line(
        f"holds {size_text(status['held_bytes'])} of {size_text(status['quota_bytes'])}"
        f" ({size_text(status['allocated_bytes'])} allocated, {size_text(status['in_flight_bytes'])} on the way):"
        f" {status['items_held']} items, {status['segments_held']} segments"
    )
    print_line(
        f"catalogue: {catalogue['items']} items, {catalogue['with_torrent']} with a torrent,"
        f" {'verified' if catalogue['verified'] else 'not signed'}, taken {catalogue['age_s']} s ago"
    )
    way = f"behind {status['proxy']}" if status["proxy"] else f"listens on port {status['listen_port']}"
    print_line(f"{way}, disk free {size_text(status['disk_free_bytes'])}")
    asleep = sum(1 for tracker in status["trackers"] if tracker["failures"])
    mirrors = ", ".join(f"{count} {state}" for state, count in status["mirrors"].items() if count) or "none looked at"
    print_line(f"trackers: {len(status['trackers'])}, {asleep} of them not answering; web seeds: {mirrors}")
    for reason in status["degraded"]:
        print_line(f"degraded: {reason}")


def show_list(config: Path | None, *, as_json: bool) -> None:
    """Print what the node holds."""
    body = NodeApi(load(config)).get("/api/v1/items")
    if as_json:
        print_json(body)
        return
    print_table(
        f"{len(body['items'])} torrents held",
        ["item", "info-hash", "held", "of", "segments", "peers", "note"],
        [
            [
                row["item"] or "(not in the catalogue)",
                row["info_hash"][:12],
                size_text(row["held_bytes"]),
                size_text(row["item_bytes"]),
                str(len(row["segments"])),
                str(row["peers"]),
                ", ".join(filter(None, (row["word"], row["failure"] or ("" if row["partial"] else "whole")))),
            ]
            for row in body["items"]
        ],
    )
    held = {row["info_hash"] for row in body["items"]}
    for said in body["words"]:
        if said["info_hash"] not in held:
            print_line(f"{said['word']}, nothing held: {said['item']} ({said['info_hash'][:12]})")


def show_why(config: Path | None, item: str, *, as_json: bool) -> None:
    """Print the evidence for what the node did with one item."""
    body = NodeApi(load(config)).get(f"/api/v1/items/{quote(item, safe='/')}")
    if as_json:
        print_json(body)
        return
    print_line(f"{body['item']}: {size_text(body['item_bytes'])}, info-hash {body['info_hash'] or 'none'}")
    held = body["held"]
    print_line(f"held: {size_text(held['held_bytes'])}, {len(held['segments'])} segments" if held else "held: nothing")
    if body["word"]:
        print_line(f"the volunteer's word: {body['word']}")
    for name, entries in body["plan"].items():
        for entry in entries:
            print_line(f"{name}: {size_text(entry['bytes'])} because {entry['because']['text']}")
            if entry["because"]["change"]:
                print_line(f"  what would change it: {entry['because']['change']}")
    if body["level"] is not None:
        print_line(
            f"the archive: evenly spread, all that was seen would cover everything {body['level']:.2f} times (a live"
            " web seed counts as part of a copy, what is worth more needs more)"
        )
    _print_view(body["view"])
    _print_mirrors(body["mirrors"])
    print_table(
        "decisions",
        ["when", "cycle", "what", "bytes", "because", "outcome"],
        [
            [d["at"], str(d["cycle"]), d["action"], size_text(d["bytes"]), d["because"], d["outcome"]]
            for d in body["decisions"]
        ],
    )


def _print_mirrors(mirrors: list[dict[str, Any]]) -> None:
    if not mirrors:
        print_line("web seeds: none looked at")
        return
    print_table(
        "web seeds",
        ["address", "state", "why", "age", "asked again"],
        [
            [m["url"], m["state"], m["reason"], f"{m['age_s']} s", m["asked_again_at"] or "when it is due"]
            for m in mirrors
        ],
    )


def _print_view(view: dict[str, Any] | None) -> None:
    counted = view["scrape"] if view else None
    if counted:
        seeds, others, ended = (
            "?" if counted[key] is None else counted[key] for key in ("complete", "incomplete", "downloaded")
        )
        print_line(
            f"trackers counted {counted['age_s']} s ago: {seeds} seeds, {others} others, {ended} downloads (they rank"
            " swarms for a look, they are no copies)"
        )
    if view is None or view["looked_at"] is None:
        print_line("swarm: never seen")
        return
    how = _HOW.get(view["witness"], view["witness"])
    print_line(f"swarm: looked at {view['age_s']} s ago, {how}; {len(view['holders'])} other holders")
    print_table(
        "holders",
        ["address", "client", "smartnode", "pieces", "seen", "age"],
        [
            [
                h["address"],
                h["client"] or "?",
                "yes" if h["smartnode"] else "no",
                "all" if h["pieces"] == h["pieces_of"] else f"{h['pieces']} of {h['pieces_of']}",
                _HOW.get(h["witness"], h["witness"]),
                f"{h['age_s']} s",
            ]
            for h in view["holders"]
        ],
    )
