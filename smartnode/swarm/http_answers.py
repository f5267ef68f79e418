"""The HTTP tracker protocol, text and bytes only: addresses out, answers in, nothing trusted (BEP 3, 7, 23, 48).

Laws: an answer is one bencoded dictionary of at most 64 KiB (what metainfo reads; 70 torrents take 5 KiB) or a
SwarmError; ``failure reason`` is a TrackerRefusal; peers are numeric addresses; a torrent that is not listed is absent.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote_from_bytes, urlencode, urlsplit, urlunsplit

from smartnode.domain.identity import InfoHash
from smartnode.domain.swarm import Address
from smartnode.errors import MetainfoError, SwarmError
from smartnode.metainfo import bencode
from smartnode.swarm.answers import INTERVAL_MAX_S, Announced, Counts, TrackerRefusal, plausible
from smartnode.swarm.compact import compact4, compact6
from smartnode.swarm.udp_packets import NOBODY_DIALS, PEERS_MAX, PEERS_WANTED
from smartnode.swarm.wire import printable

ANSWER_MAX_BYTES = bencode.BENCODE_MAX_BYTES
PORTS_END = 65536


def scrape_url(announce: str) -> str | None:
    """Return the scrape address by the convention of BEP 48; None when the last path part does not begin with
    ``announce``.
    """
    parts = urlsplit(announce)
    folder, slash, name = parts.path.rpartition("/")
    if not slash or not name.startswith("announce"):
        return None
    return urlunsplit(parts._replace(path=f"{folder}/scrape{name.removeprefix('announce')}", fragment=""))


def scrape_request(url: str, hashes: Sequence[InfoHash]) -> str:
    """Return *url* with one ``info_hash`` per torrent."""
    return _with(url, "&".join(f"info_hash={_raw(bytes.fromhex(h))}" for h in hashes))


def announce_request(url: str, *, info_hash: InfoHash, peer_id: bytes, left: int, event: str, key: int) -> str:
    """Return *url* as an announce that lists port 1 and asks for 50 peers."""
    rest = urlencode(
        {
            "port": NOBODY_DIALS,
            "uploaded": 0,
            "downloaded": 0,
            "left": left,
            "compact": 1,
            "numwant": PEERS_WANTED,
            "event": event,
            "key": f"{key:08x}",
        }
    )
    return _with(url, f"info_hash={_raw(bytes.fromhex(info_hash))}&peer_id={_raw(peer_id)}&{rest}")


def parse_announce(raw: bytes) -> Announced:
    """Return the peers, compact ones and those spelt out alike."""
    said = _dictionary(raw)
    interval = said.get(b"interval")
    if interval is not None and (not isinstance(interval, int) or interval < 0):
        message = "the tracker's interval is not a number of seconds"
        raise SwarmError(message)
    if b"peers" not in said and b"peers6" not in said:
        message = "the tracker's answer names no peers"
        raise SwarmError(message)
    peers, peers6 = said.get(b"peers", b""), said.get(b"peers6", b"")
    if isinstance(peers, list):
        named = [a for p in peers[:PEERS_MAX] if (a := _spelt_out(p)) is not None]
    elif isinstance(peers, bytes):
        named = compact4(peers, PEERS_MAX)
    else:
        message = "the tracker's peers are not a list"
        raise SwarmError(message)
    if isinstance(peers6, bytes):
        named += compact6(peers6, PEERS_MAX)
    return Announced(peers=tuple(named), interval_s=None if interval is None else min(interval, INTERVAL_MAX_S))


def parse_scrape(raw: bytes, hashes: Sequence[InfoHash]) -> dict[InfoHash, Counts]:
    """Return the counts of the torrents that the tracker lists among those asked about."""
    files = _dictionary(raw).get(b"files")
    if not isinstance(files, dict):
        message = "the tracker's answer lists no torrents"
        raise SwarmError(message)
    found: dict[InfoHash, Counts] = {}
    for info_hash in hashes:
        entry = files.get(bytes.fromhex(info_hash))
        if isinstance(entry, dict):
            found[info_hash] = Counts(
                complete=plausible(entry.get(b"complete")),
                incomplete=plausible(entry.get(b"incomplete")),
                downloaded=plausible(entry.get(b"downloaded")),
            )
    return found


def _dictionary(raw: bytes) -> dict[bytes, Any]:
    try:
        said = bencode.decode(raw)
    except MetainfoError as error:
        message = f"the tracker's answer is {error}"
        raise SwarmError(message) from error
    if not isinstance(said, dict):
        message = "the tracker's answer is not a dictionary"
        raise SwarmError(message)
    if b"failure reason" in said:
        reason = said[b"failure reason"]
        message = f"the tracker refuses: {printable(reason) if isinstance(reason, bytes) else 'no reason given'}"
        raise TrackerRefusal(message)
    return said


def _spelt_out(peer: object) -> Address | None:
    """Read one peer of BEP 3's older form; None when it names a host, which nobody here resolves."""
    if not isinstance(peer, dict):
        return None
    host, port = peer.get(b"ip"), peer.get(b"port")
    if not isinstance(host, bytes) or not isinstance(port, int) or not 0 < port < PORTS_END:
        return None
    try:
        numeric = ip_address(host.decode("ascii").partition("%")[0])
    except ValueError:
        return None
    return Address(host=str(getattr(numeric, "ipv4_mapped", None) or numeric), port=port)


def _with(url: str, query: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query, fragment=""))


def _raw(value: bytes) -> str:
    return quote_from_bytes(value, safe="")
