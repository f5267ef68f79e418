"""Every key that works, with its default: frozen, validated, in bytes and seconds. A key exists here only once it
works.
"""

import ipaddress
import re
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from smartnode.config.protocol import ProtocolKeys
from smartnode.config.section import Duration, Plain, Rate, Section, Size, plain
from smartnode.config.selection import SelectionKeys
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bytes
from smartnode.errors import ConfigError
from smartnode.planning.siblings import Siblings


def _proxy(value: object) -> object:
    """Read ``socks5://[user:password@]host:port`` or ``http://...``; the error never repeats what may be a password."""
    if not isinstance(value, str):
        return value
    message = "is no proxy, use socks5://host:port or http://host:port, with user:password@ before the host if it asks"
    try:
        parts = urlsplit(value)
        kind, host, port = ProxyKind(parts.scheme), parts.hostname, parts.port
    except ValueError:
        raise ValueError(message) from None
    if not host or not port or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(message)
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Proxy(kind=kind, host=host, port=port, username=user, password=password)


ProxyAddress = Annotated[Proxy, BeforeValidator(_proxy)]

_DEVICE = re.compile(r"(?=.*[a-z])[a-z0-9][a-z0-9_.@-]{0,14}", re.IGNORECASE)
"""A network device as Linux names it: 15 characters at most. An IPv6 address has a colon, an IPv4 one no letter."""
_NETWORK_ID = re.compile(r"[a-z0-9-]{1,32}")
_PORT_MAX = 65535
DEFAULT_NETWORK = "d4c"
Region = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Node(Section):
    """Who runs it."""

    name: Plain = Field(default_factory=socket.gethostname, min_length=1, max_length=64, description="shown in status")
    region: Region | None = Field(default=None, description="where it is, as the catalogue names regions")
    jurisdiction: Region | None = Field(default=None, description="whose law it is under")


class CatalogueKeys(Section):
    """Where the catalogue comes from."""

    urls: tuple[Plain, ...] = Field(
        default=(), description="plain paths, file: or http(s) addresses; the first that answers"
    )
    refresh: Duration = Field(default=timedelta(hours=1), description="time between polls")
    allow_unsigned: bool = Field(default=False, description="use a catalogue whose signature cannot be checked")


class Storage(Section):
    """What was donated."""

    path: Path | None = Field(default=None, description="the data root; default: the platform's data folder")
    quota: Size | None = Field(default=None, gt=0, description="most bytes that the node may allocate, in all")
    keep_free: Size = Field(default=Bytes(10 * 10**9), description="bytes of the file system that stay free")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            message = f"{str(path)!r} is relative, use an absolute path"
            raise ValueError(message)
        if path is not None:
            plain(str(path))
        return path


class Bandwidth(Section):
    """Rates over all peers; no key means no limit."""

    upload: Rate | None = Field(default=None, description="most bytes per second sent")
    download: Rate | None = Field(default=None, description="most bytes per second received")


class Network(Section):
    """How the node is reached."""

    id: str = Field(default=DEFAULT_NETWORK, description="network id; nodes of one id place together")
    listen: tuple[str, ...] = Field(default=("0.0.0.0:6881", "[::]:6881"), min_length=1, description="host:port each")
    outgoing: str | None = Field(
        default=None, description="local address or network device for all connections that the node opens"
    )
    announce_ip: str | None = Field(default=None, description="address that trackers are told, for a node behind NAT")
    port_forwarding: bool = Field(default=False, description="ask the router for a port (UPnP, NAT-PMP)")
    lan_discovery: bool = Field(default=False, description="find peers on the local network (BEP 14)")
    proxy: ProxyAddress | None = Field(default=None, description="SOCKS5 or HTTP proxy that all traffic goes through")
    dht: bool = Field(default=True, description="find peers by the DHT (BEP 5)")
    dht_bootstrap: tuple[str, ...] = Field(
        default=("dht.libtorrent.org:25401", "router.bittorrent.com:6881"), description="first DHT contacts, host:port"
    )
    allow_private: bool = Field(default=False, description="peers, mirrors and addresses of private networks are used")
    siblings: tuple[str, ...] = Field(
        default=(), max_length=1000, description="other nodes of the operator: node ids, addresses, networks"
    )

    @field_validator("id")
    @classmethod
    def _id(cls, text: str) -> str:
        if _NETWORK_ID.fullmatch(text) is None:
            message = f"{text!r} is no network id, use 1 to 32 of a-z, 0-9 and -"
            raise ValueError(message)
        return text

    @field_validator("listen")
    @classmethod
    def _listen(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ipaddress.ip_address(host_port(value)[0])
        return values

    @field_validator("dht_bootstrap")
    @classmethod
    def _bootstrap(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            host_port(value)
        return values

    @field_validator("outgoing")
    @classmethod
    def _outgoing(cls, value: str | None) -> str | None:
        if value is None or _DEVICE.fullmatch(value):
            return value
        ipaddress.ip_address(value)
        return value

    @field_validator("siblings")
    @classmethod
    def _siblings(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        Siblings.of(values)
        return values

    @field_validator("announce_ip")
    @classmethod
    def _announced(cls, value: str | None) -> str | None:
        return None if value is None else str(ipaddress.ip_address(value))

    @model_validator(mode="after")
    def _nothing_past_the_proxy(self) -> Self:
        if self.proxy is not None and (self.port_forwarding or self.lan_discovery):
            message = "a proxy hides this host, port_forwarding and lan_discovery would show it; set them to false"
            raise ValueError(message)
        if self.proxy is not None and self.outgoing is not None:
            # libtorrent does not bind its connections to a proxy, and drops those that are bound otherwise.
            message = "behind a proxy the proxy alone is connected to; leave out outgoing, or proxy"
            raise ValueError(message)
        return self


class Api(Section):
    """Where the node answers its owner."""

    listen: str = Field(default="127.0.0.1:8765", description="loopback host:port")

    @field_validator("listen")
    @classmethod
    def _loopback(cls, value: str) -> str:
        host, _ = host_port(value)
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            message = f"{value!r} is not a loopback address; listening beyond loopback is not supported yet"
            raise ValueError(message)
        return value

    @property
    def host(self) -> str:
        """The address without brackets."""
        return host_port(self.listen)[0]

    @property
    def port(self) -> int:
        """The port, 0 = any free one."""
        return host_port(self.listen)[1]


class CycleKeys(Section):
    """The pace of planning, and the local parameters of placement."""

    interval: Duration = Field(default=timedelta(minutes=15), description="time between plans")
    probes: int | None = Field(default=None, ge=0, le=10_000, description="swarms looked at per cycle; default by size")
    pace: float = Field(default=0.10, gt=0, le=1, description="part of the quota started per cycle")
    kappa: float = Field(default=0.5, ge=0, le=1, description="copies credited per live mirror, at most 1 in all")
    lambda_: float = Field(default=1.2, gt=0, le=100, alias="lambda", description="value to copies")
    gamma: float = Field(default=0.5, gt=0, le=1, description="part of the imbalance mended per swap, by all nodes")
    hysteresis: float = Field(default=1.0, ge=0, le=100, description="copies of difference before a swap")
    a_guard: Duration = Field(default=timedelta(minutes=5), description="age of a view that may support an eviction")
    a_max: Duration = Field(default=timedelta(hours=6), description="older views are unknown")
    t_mem: Duration = Field(default=timedelta(hours=72), description="how long an offline holder counts")
    t_urg: Duration = Field(default=timedelta(hours=2), description="no holder online for this long: urgent")
    t_usual: Duration = Field(default=timedelta(hours=12), description="the same while few nodes are away")


class Settings(Section):
    """The whole configuration."""

    node: Node = Field(default_factory=Node)
    catalogue: CatalogueKeys = Field(default_factory=CatalogueKeys)
    storage: Storage = Field(default_factory=Storage)
    bandwidth: Bandwidth = Field(default_factory=Bandwidth)
    selection: SelectionKeys = Field(default_factory=SelectionKeys)
    network: Network = Field(default_factory=Network)
    api: Api = Field(default_factory=Api)
    cycle: CycleKeys = Field(default_factory=CycleKeys)
    protocol: ProtocolKeys = Field(default_factory=ProtocolKeys)

    def require_catalogue(self) -> Self:
        """Return self; ConfigError when no catalogue is named."""
        if not self.catalogue.urls:
            message = "catalogue.urls is not set"
            raise ConfigError(message, cure='set [catalogue] urls = ["/path/or/https address"]')
        return self

    def require_storage(self) -> Bytes:
        """Return the quota; ConfigError when nothing was donated."""
        if self.storage.quota is None:
            message = "storage.quota is not set"
            raise ConfigError(message, cure='set [storage] quota = "500 GB", or SMARTNODE_STORAGE__QUOTA')
        return self.storage.quota


def host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[IPv6]:port``; ValueError names the form."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or not port.isdecimal() or int(port) > _PORT_MAX or (":" in bare and bare == host):
        message = f"{text!r} is not host:port (IPv6: [address]:port)"
        raise ValueError(message)
    return bare, int(port)
