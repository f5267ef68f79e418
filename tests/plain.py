"""Plain libtorrent sessions, strangers to the node: nothing of theirs leaves the addresses that a test gives them."""

from typing import Any

import libtorrent as lt

SILENT: dict[str, Any] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "webtorrent_stun_server": "",
}
"""For libtorrent's settings: it looks for nobody by itself and calls nobody."""


def plain_session(host: str, *, port: int = 0, **more: Any) -> lt.session:
    """Return a session that listens on *host* and connects from there, and looks for nobody by itself; *more*: further
    settings of libtorrent.
    """
    return lt.session({"listen_interfaces": f"{host}:{port}", "outgoing_interfaces": host} | SILENT | more)
