"""Every setting of the session is chosen here: nothing that calls home, nothing that finds peers we did not ask for,
nothing that goes around a proxy.

libtorrent's defaults name a bootstrap host, a STUN server, UPnP, NAT-PMP and local discovery: all are off unless asked
for. Its rate
limits spare peers of the local network, so every address is put into the global peer class. Names that 2.1.1 does not
know raise KeyError when the session is made.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import libtorrent as lt

from smartnode.domain.identity import NodeId
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bytes
from smartnode.metainfo.read import MAX_PIECES, MAX_TORRENT_BYTES

ALERTS = (
    lt.alert_category.error
    | lt.alert_category.status
    | lt.alert_category.storage
    | lt.alert_category.dht_operation
    | lt.alert_category.tracker
    # How connections to web seeds end; a few alerts for each connection, none for each block.
    | lt.alert_category.connect
    | lt.alert_category.peer
)
_V4_END, _V6_END = "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
_BLOCKED = 1
_CLOSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "::/127",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How this node appears and how much it may use. *client*: what we say of ourselves (BEP 10 ``v``, User-Agent).

    *listen*: ``host:port`` each, IPv6 in brackets, port 0 = any. *outgoing*: local address or device for connections
    that we open, None = any. *allow_private*: peers, web seeds and DHT nodes of private and loopback ranges are used.
    Limits in bytes per second over all peers, 0 = none. *state_dir* holds ``resume/``. *announces_per_s*: over all
    trackers together.

    *proxy*: everything goes through it, names included, and nothing around it: no local discovery, no port mapping, and
    nothing listens for TCP, so other nodes are dialled and cannot dial. An HTTP proxy carries TCP only: no DHT, no uTP,
    no UDP trackers. *port_forwarding*: ask the router by UPnP and NAT-PMP. *lan_discovery*: BEP 14, each torrent told
    every *lan_every_s*. *announce_ip*: what trackers are told, for a node whose address they do not see.
    """

    node_id: NodeId
    client: str
    network_id: str
    listen: tuple[str, ...]
    state_dir: Path
    outgoing: str | None = None
    dht: bool = True
    dht_bootstrap: tuple[tuple[str, int], ...] = ()
    allow_private: bool = False
    upload_limit: Bytes = Bytes(0)
    download_limit: Bytes = Bytes(0)
    announces_per_s: int = 20
    proxy: Proxy | None = None
    port_forwarding: bool = False
    lan_discovery: bool = False
    lan_every_s: int = 300
    announce_ip: str | None = None


def pack(settings: EngineSettings) -> dict[str, Any]:
    """Return libtorrent's settings for a new session."""
    return _identity(settings) | _manners(settings) | _discovery(settings) | _work() | _ways(settings)


def carries_udp(settings: EngineSettings) -> bool:
    """Say whether DHT, uTP and UDP trackers can be used: not through an HTTP proxy."""
    return settings.proxy is None or settings.proxy.kind is ProxyKind.SOCKS5


def bootstrap(settings: EngineSettings) -> tuple[tuple[str, int], ...]:
    """Return the first contacts of the DHT; behind a proxy those without a name only: libtorrent asks the host's own
    resolver for names of DHT nodes, past the proxy.
    """
    return tuple(c for c in settings.dht_bootstrap if settings.proxy is None or _is_numeric(c[0]))


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def limits(*, upload: Bytes, download: Bytes) -> dict[str, Any]:
    """Return the settings that may change while the session runs."""
    return {"upload_rate_limit": int(upload), "download_rate_limit": int(download)}


def address_filter(settings: EngineSettings) -> lt.ip_filter:
    """Return the filter that closes private, loopback, link-local and multicast ranges, web seeds included."""
    closed = lt.ip_filter()
    if not settings.allow_private:
        for network in map(ip_network, _CLOSED):
            closed.add_rule(str(network[0]), str(network[-1]), _BLOCKED)
    return closed


def one_peer_class() -> lt.ip_filter:
    """Return the class filter that binds the global limits to peers of the local network too."""
    classes = lt.ip_filter()
    everyone = 1 << int(lt.session.global_peer_class_id)
    classes.add_rule("0.0.0.0", _V4_END, everyone)  # noqa: S104 -- the first address of a range, nothing is bound to it
    classes.add_rule("::", _V6_END, everyone)
    return classes


def _identity(settings: EngineSettings) -> dict[str, Any]:
    return {
        "peer_fingerprint": bytes(settings.node_id),
        "handshake_client_version": settings.client,
        "user_agent": settings.client,
        "listen_interfaces": ",".join(settings.listen),
        "outgoing_interfaces": settings.outgoing or "",
        # A taken port is an error that names its cure, not a silent move to another port.
        "max_retry_port_bind": 0,
        "listen_system_port_fallback": False,
    }


def _manners(settings: EngineSettings) -> dict[str, Any]:
    return limits(upload=settings.upload_limit, download=settings.download_limit) | {
        # The wire probe comes from the address of the standing connection; partial seeds stay and show their pieces.
        "allow_multiple_connections_per_ip": True,
        "close_redundant_connections": False,
        "no_connect_privileged_ports": not settings.allow_private,
        "ssrf_mitigation": not settings.allow_private,
        "validate_https_trackers": True,
        "apply_ip_filter_to_trackers": True,
        "announce_to_all_trackers": False,
        "announce_to_all_tiers": True,
        # Each tracker keeps its place in a torrent's list: they are named to libtorrent by their number there.
        "prefer_udp_trackers": False,
        # After n failures a torrent waits 5 + 50 n² seconds, at most an hour: we announce it when the tracker is back.
        "tracker_backoff": 1000,
        # The session's end waits for trackers and for uTP sockets that say goodbye: not for long.
        "stop_tracker_timeout": 1,
        "utp_fin_resends": 1,
        # Peers come back soon after an eviction dropped them (libtorrent: 60 s, 15 s, 3 failures).
        "min_reconnect_time": 3,
        "peer_connect_timeout": 7,
        "max_failcount": 20,
        "rate_limit_ip_overhead": True,
    }


def _discovery(settings: EngineSettings) -> dict[str, Any]:
    direct = settings.proxy is None
    found: dict[str, Any] = {
        "enable_upnp": settings.port_forwarding and direct,
        "enable_natpmp": settings.port_forwarding and direct,
        "enable_lsd": settings.lan_discovery and direct,
        "local_service_announce_interval": settings.lan_every_s,
        "enable_dht": settings.dht and carries_udp(settings),
        "dht_bootstrap_nodes": ",".join(f"{host}:{port}" for host, port in bootstrap(settings)),
        "webtorrent_stun_server": "",
    }
    if settings.allow_private:
        # Without these a DHT of 127.0.0.x nodes does not form.
        found |= {
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "dht_prefer_verified_node_ids": False,
            "dht_enforce_node_id": False,
            "dht_ignore_dark_internet": False,
            # A small DHT asks each node often: by default 5 packets a second get a neighbour blocked for minutes, and
            # answers beyond 8 kB/s are dropped.
            "dht_block_ratelimit": 1_000,
            "dht_upload_rate_limit": 64_000,
        }
    return found


def _ways(settings: EngineSettings) -> dict[str, Any]:
    """Return how connections are made: encrypted where the other side can, by TCP and uTP, through the proxy if any."""
    proxy, udp = settings.proxy, carries_udp(settings)
    ways: dict[str, Any] = {
        "in_enc_policy": int(lt.enc_policy.pe_enabled),
        "out_enc_policy": int(lt.enc_policy.pe_enabled),
        "allowed_enc_level": int(lt.enc_level.pe_both),
        "prefer_rc4": False,
        "enable_incoming_tcp": True,
        "enable_outgoing_tcp": True,
        "enable_incoming_utp": udp,
        # libtorrent dials uTP first where both are on, and it is a fraction as fast: 7 MB/s instead of 19 from the peer
        # of benchmarks/mixed_sources.py. uTP is for those who dial us.
        "enable_outgoing_utp": False,
        "announce_ip": settings.announce_ip or "",
    }
    if proxy is None:
        return ways
    with_name = proxy.username is not None
    kinds = {
        ProxyKind.SOCKS5: lt.proxy_type_t.socks5_pw if with_name else lt.proxy_type_t.socks5,
        ProxyKind.HTTP: lt.proxy_type_t.http_pw if with_name else lt.proxy_type_t.http,
    }
    return ways | {
        "proxy_type": int(kinds[proxy.kind]),
        "proxy_hostname": proxy.host,
        "proxy_port": proxy.port,
        "proxy_username": proxy.username or "",
        "proxy_password": proxy.password or "",
        "proxy_hostnames": True,
        "proxy_peer_connections": True,
        "proxy_tracker_connections": True,
    }


def _work() -> dict[str, Any]:
    return {
        "active_limit": -1,
        "active_seeds": -1,
        "active_downloads": -1,
        "active_tracker_limit": -1,
        "active_dht_limit": -1,
        "connections_limit": 400,
        "unchoke_slots_limit": 20,
        "alert_mask": int(ALERTS),
        "alert_queue_size": 50_000,
        "max_piece_count": MAX_PIECES,
        "max_metadata_size": MAX_TORRENT_BYTES,
        # One thread for the disk, hashes included: with several, 2.1.1's cache is read after it is freed when a torrent
        # leaves while its pieces arrive, and the process dies (docs/decisions/0009).
        "aio_threads": 1,
        "hashing_threads": 0,
    }
