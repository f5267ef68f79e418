"""libtorrent is given only addresses it may use: public http(s) hosts without a budget, in the spelling it expects.

BEP 19: the address of a single-file torrent is that of the file, or of its folder when it ends in a slash; that of a
folder torrent is the parent folder. The catalogue's href of a folder torrent may be one file of it, so only addresses
that end in a slash are taken from there. Hosts with a budget (Zenodo, Internet Archive) ban clients that hammer them,
and libtorrent cannot wait: they are left out. Names that resolve to closed ranges are stopped by the address filter.
Which of the others are used at a given moment is for ``sources`` to say.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from smartnode.domain.catalogue import Item
from smartnode.metainfo.read import Metainfo, addresses
from smartnode.web.address import tracker_address, web_address

BUDGETED_HOSTS = ("zenodo.org", "archive.org")
MAX_WEB_SEEDS = 16
MAX_TRACKERS = 32
_HTTP = frozenset({"http", "https"})
_TRACKER = frozenset({"http", "https", "udp"})
_NAMES_OF_HOMES = (".localhost", ".local", ".internal")
_NUMBER = re.compile(r"[0-9.]+|.*:.*")
_LOWER = re.compile(r"%[0-9A-F]{2}")
_UNESCAPED = "/!()~*-._"


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
    spelled = addresses(_spelled(urls, web_address, allow_private=allow_private), _HTTP)
    return list(islice((url for url in spelled if not _budgeted(url)), MAX_WEB_SEEDS))


def usable_trackers(urls: Iterable[str], *, allow_private: bool) -> list[str]:
    """Return those of *urls* that libtorrent may announce to, each once, bounded."""
    return list(islice(addresses(_spelled(urls, tracker_address, allow_private=allow_private), _TRACKER), MAX_TRACKERS))


def takes_folders(metainfo: Metainfo) -> bool:
    """Say whether libtorrent asks a web seed of this torrent as a folder; any torrent of one file is asked as the
    file, also when it lies in a folder (measured on 2.1.1).
    """
    return len(metainfo.files) > 1 or metainfo.files[0].size != metainfo.layout.total_size


def file_address(url: str, path: PurePosixPath, *, folder: bool) -> str:
    """Return where the web seed *url* has the file *path* of its torrent, spelled as libtorrent does: the escapes are
    lower-case hex, a slash at the end of *url* or a *folder* torrent means that *path* is below it.
    """
    if not folder and not url.endswith("/"):
        return url
    escaped = quote(str(path), safe=_UNESCAPED)
    return folder_address(url) + _LOWER.sub(lambda found: found.group().lower(), escaped)


def folder_address(url: str) -> str:
    """Return *url* as libtorrent lists it for a torrent of several files: with a slash at its end."""
    return url if url.endswith("/") else f"{url}/"


def _spelled(urls: Iterable[str], checked: Callable[..., str], *, allow_private: bool) -> Iterator[str]:
    """Yield the good ones of *urls* as *checked* spells them."""
    for url in urls:
        try:
            good = checked(url, allow_private=allow_private)
        except ValueError:
            continue
        if allow_private or _named_publicly(good):
            yield good


def _named_publicly(url: str) -> bool:
    """A name without a dot, or of a kind that only a home's own resolver knows, is nobody's public server."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return _NUMBER.fullmatch(host) is not None or ("." in host and not host.endswith(_NAMES_OF_HOMES))


def _budgeted(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == budgeted or host.endswith(f".{budgeted}") for budgeted in BUDGETED_HOSTS)
