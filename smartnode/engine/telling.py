"""What libtorrent is told to announce, one torrent at a time; RuntimeError when the torrent is on its way out.

libtorrent keeps a torrent's trackers in order of their tiers, and each has a tier of its own: its number there is its
place among those that are switched on.
"""

import libtorrent as lt

from smartnode.engine.torrents import Torrent


def switch_on(torrent: Torrent, url: str) -> None:
    """Announce to a tracker from now on; libtorrent does so at once, then whenever the tracker wants it."""
    assert torrent.handle is not None
    torrent.handle.add_tracker({"url": url, "tier": torrent.trackers.index(url)})
    torrent.told[url].on = True


def announce_again(torrent: Torrent, url: str) -> None:
    """Announce now to a tracker that is switched on, though not sooner than it allows."""
    assert torrent.handle is not None
    number = sorted((u for u, told in torrent.told.items() if told.on), key=torrent.trackers.index).index(url)
    torrent.handle.force_reannounce(0, number)


def switch_off(torrent: Torrent) -> None:
    """Announce to no tracker, and tell none of them goodbye."""
    if torrent.handle is not None and any(told.on for told in torrent.told.values()):
        torrent.handle.replace_trackers([])


def tell_dht(torrent: Torrent) -> None:
    """Tell the DHT now, and leave it to libtorrent when to tell it again."""
    assert torrent.handle is not None
    torrent.handle.unset_flags(lt.torrent_flags.disable_dht)
    torrent.handle.force_dht_announce()
