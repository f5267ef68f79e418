"""How this node reaches the network: directly, or through one proxy that nothing may go around."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote


class ProxyKind(StrEnum):
    """What the proxy speaks. HTTP proxies carry TCP only: no DHT, no uTP, no UDP trackers."""

    SOCKS5 = "socks5"
    HTTP = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy; *username* None: it asks for none. The password is in no text that is made of this value but *url*."""

    kind: ProxyKind
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address with its credentials, for a client library; never for a log."""
        if self.username is None:
            return str(self)
        user, password = (quote(text or "", safe="") for text in (self.username, self.password))
        return f"{self.kind.value}://{user}:{password}@{self._place}"

    def __str__(self) -> str:
        """Kind, host and port, fit to be shown."""
        return f"{self.kind.value}://{self._place}"

    @property
    def _place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How connections leave this host: through *proxy*, None = straight; from the address *local_host*, None = any."""

    proxy: Proxy | None = None
    local_host: str | None = None


STRAIGHT = Way()
