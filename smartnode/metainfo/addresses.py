"""libtorrent is given only addresses it may use: public http(s) hosts without a budget, in the spelling it expects.

BEP 19: the address of a single-file torrent is that of the file, or of its folder when it ends in a slash; that of a
folder torrent is the parent folder. The catalogue's href of a folder torrent may be one file of it, so only addresses
that end in a slash are taken from there. Hosts with a budget (Zenodo, Internet Archive) ban clients that hammer them,
and libtorrent cannot wait: they are left out. Names that resolve to closed ranges are stopped by the address filter.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from itertools import islice
from urllib.parse import quote, urlsplit, urlunsplit

from smartnode.domain.catalogue import Item
from smartnode.metainfo.read import Metainfo, addresses

BUDGETED_HOSTS = ("zenodo.org", "archive.org")
MAX_WEB_SEEDS = 16
MAX_TRACKERS = 32
_HTTP = frozenset({"http", "https"})
_TRACKER = frozenset({"http", "https", "udp"})
_KEPT = "/%:@!$&'()*+,;=~"


def web_seeds_for(item: Item, metainfo: Metainfo, *, allow_private: bool) -> list[str]:
    """Return the web seeds of the torrent that libtorrent may use, percent-encoded, each once, the catalogue's first.

    An address with a user name is dropped: a credential in a public catalogue is a mistake or a trap.
    """
    catalogue = [url for url in item.web_seeds if metainfo.single_file or url.endswith("/")]
    return usable_web_seeds((*catalogue, *metainfo.web_seeds), allow_private=allow_private)


def trackers_for(item: Item, metainfo: Metainfo, *, allow_private: bool) -> list[str]:
    """Return the trackers of the .torrent, then of the catalogue; private torrents (BEP 27) keep to their own."""
    named: Iterable[str] = metainfo.trackers
    if item.torrent is not None and not metainfo.private:
        named = (*metainfo.trackers, *item.torrent.trackers)
    return usable_trackers(named, allow_private=allow_private)


def usable_web_seeds(urls: Iterable[str], *, allow_private: bool) -> list[str]:
    """Return those of *urls* that libtorrent may use as web seeds, percent-encoded, each once, bounded."""
    spelled = addresses(map(_encoded, urls), _HTTP)
    good = (url for url in spelled if _usable(url, allow_private=allow_private) and not _budgeted(url))
    return list(islice(good, MAX_WEB_SEEDS))


def usable_trackers(urls: Iterable[str], *, allow_private: bool) -> list[str]:
    """Return those of *urls* that libtorrent may announce to, each once, bounded."""
    good = (url for url in addresses(urls, _TRACKER) if _usable(url, allow_private=allow_private))
    return list(islice(good, MAX_TRACKERS))


def _encoded(url: str) -> str:
    """Return *url* with its path and query percent-encoded; what is encoded already stays."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc, quote(parts.path, safe=_KEPT), quote(parts.query, safe=_KEPT), ""))


def _usable(url: str, *, allow_private: bool) -> bool:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.username is not None or parts.password is not None:
        return False
    if allow_private:
        return True
    try:
        literal = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
    mapped = getattr(literal, "ipv4_mapped", None) or literal
    return bool(mapped.is_global) and not mapped.is_multicast


def _budgeted(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == budgeted or host.endswith(f".{budgeted}") for budgeted in BUDGETED_HOSTS)
