"""An address that leaves this module is http(s) with a named host, plain ASCII, and not inside the volunteer's network.

Laws: nothing relative, no ``file:``, no user name, no backslash, no control or direction-changing character; a literal
address is public unless private ones are allowed. Raw spaces and letters beyond ASCII are percent-encoded, because
libtorrent sends a web seed's URL as it stands.
"""

import base64
import binascii
import functools
import ipaddress
import re
import socket
import unicodedata
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

import httpx

ADDRESS_MAX = 2048
STORAGE_SCHEMES = frozenset({"s3", "gs", "az", "abfs", "abfss", "ftp", "ftps", "sftp", "ipfs", "ipns"})
"""Real places that a web seed cannot be: such an address is no mirror, and no fault either."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_PLAIN = re.compile(
    r"https?://(?P<host>[a-z0-9-]+(\.[a-z0-9-]+)*)/[A-Za-z0-9/%:@!$&'()*+,;=~._-]*(\?[A-Za-z0-9/?%:@!$&'()*+,;=~._-]+)?"
)
"""What needs no rewriting, nearly every address there is: a catalogue of a million rows holds millions of them."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LEGACY_IPV4 = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_BASE32_LENGTH = 32
_MAGNET_FIELDS = 64
_SHOWN = 80


def hidden_character(text: str) -> str | None:
    """Return the first character that a reader cannot see or that reorders text, as ``U+202E``; None when clean."""
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        if character in _BIDI or unicodedata.category(character) in _UNSEEN:
            return f"U+{ord(character):04X}"
    return None


def is_public(host: str) -> bool:
    """Whether the numeric address *host* is on the public internet, seen through IPv4-in-IPv6 wrappings."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def web_address(text: str, *, allow_private: bool) -> str:
    """Return *text* as an http(s) address fit to be asked; ValueError with the reason otherwise."""
    if len(text) <= ADDRESS_MAX and (plain := _PLAIN.fullmatch(text)) and _is_fine(plain["host"], allow_private):
        return text
    parts = _split(text)
    if parts.scheme not in {"http", "https"}:
        message = f"is neither http nor https: {shown(text)}"
        raise ValueError(message)
    host = _ascii_host(parts)
    if not allow_private and not _may_be_public(host):
        message = f"points into a private network: {shown(text)}"
        raise ValueError(message)
    netloc = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def tracker_address(text: str, *, allow_private: bool) -> str:
    """Return *text* as a tracker's address (http, https or udp, BEP 15); ValueError otherwise."""
    parts = _split(text)
    if parts.scheme not in {"http", "https", "udp"}:
        message = f"is not a tracker's address: {shown(text)}"
        raise ValueError(message)
    if not allow_private and not _may_be_public(_ascii_host(parts)):
        message = f"points into a private network: {shown(text)}"
        raise ValueError(message)
    if not text.isascii() or " " in text:
        message = f"is not plain ASCII: {shown(text)}"
        raise ValueError(message)
    return text


def scheme_of(text: str) -> str:
    """Return the scheme of *text* in lower case, empty when it has none."""
    found = _SCHEME.match(text)
    return found.group()[:-1].lower() if found else ""


def magnet_hashes(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the v1 (40 hex) and v2 (64 hex) info-hashes that a magnet names (BEP 9); ValueError when malformed."""
    _refuse_hidden(text)
    v1: set[str] = set()
    v2: set[str] = set()
    for key, value in parse_qsl(urlsplit(text).query, max_num_fields=_MAGNET_FIELDS):
        if key != "xt" and not key.startswith("xt."):
            continue
        lowered = value.lower()
        digest = lowered.rpartition(":")[2]
        if lowered.startswith("urn:btih:") and re.fullmatch(r"[0-9a-f]{40}", digest):
            v1.add(digest)
        elif lowered.startswith("urn:btih:") and len(digest) == _BASE32_LENGTH:
            v1.add(_base32(digest))
        elif lowered.startswith("urn:btmh:1220") and re.fullmatch(r"[0-9a-f]{68}", digest):
            v2.add(digest[4:])
        else:
            message = f"names no readable info-hash: {shown(text)}"
            raise ValueError(message)
    return frozenset(v1), frozenset(v2)


def shown(text: str) -> str:
    """Return *text* fit for one line of a report: ASCII, at most 80 characters."""
    return ascii(text[: _SHOWN - 3] + "..." if len(text) > _SHOWN else text)


def _split(text: str) -> SplitResult:
    _refuse_hidden(text)
    if "\\" in text:
        message = f"holds a backslash: {shown(text)}"
        raise ValueError(message)
    if not scheme_of(text):
        message = f"is not an absolute address: {shown(text)}"
        raise ValueError(message)
    try:
        parts = urlsplit(text)
        bad = not parts.hostname or parts.port == 0
    except ValueError as error:
        message = f"is malformed: {shown(text)}"
        raise ValueError(message) from error
    if parts.scheme in {"http", "https", "udp"} and bad:
        message = f"names no host: {shown(text)}"
        raise ValueError(message)
    if "@" in parts.netloc:
        message = f"carries a user name: {shown(text)}"
        raise ValueError(message)
    return parts


def _refuse_hidden(text: str) -> None:
    if len(text) > ADDRESS_MAX:
        message = f"is over {ADDRESS_MAX} characters"
        raise ValueError(message)
    if hidden := hidden_character(text):
        message = f"holds the hidden character {hidden}: {shown(text)}"
        raise ValueError(message)


def _ascii_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        plain = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        message = f"names no possible host: {shown(host)}"
        raise ValueError(message) from error
    if not re.fullmatch(r"[0-9A-Za-z_.:-]+", plain) or not _decodes(plain.lower()):
        message = f"names no possible host: {shown(host)}"
        raise ValueError(message)
    return plain.lower()


def _decodes(host: str) -> bool:
    """Whether the labels of *host* that claim to be IDNA are: httpx reads them, and raises past its own errors."""
    if "xn--" not in host:
        return True
    try:
        return bool(httpx.URL(scheme="http", host=host).host)
    except (UnicodeError, httpx.InvalidURL):
        return False


def _may_be_public(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return False
    try:
        return is_public(name)
    except ValueError:
        pass
    if _LEGACY_IPV4.fullmatch(name):
        try:  # 2130706433, 0x7f.1 and 0177.1 are 127.0.0.1 to every resolver
            return is_public(socket.inet_ntoa(socket.inet_aton(name)))
        except OSError:
            pass
    return True


@functools.lru_cache(maxsize=4096)
def _is_fine(host: str, allow_private: bool) -> bool:  # noqa: FBT001 - the cache's key
    try:
        return _ascii_host(urlsplit(f"http://{host}/")) == host and (allow_private or _may_be_public(host))
    except ValueError:
        return False


def _base32(digest: str) -> str:
    try:
        return base64.b32decode(digest.upper()).hex()
    except binascii.Error as error:
        message = f"names no readable info-hash: {shown(digest)}"
        raise ValueError(message) from error
