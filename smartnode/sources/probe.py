"""One look at one web seed, bounded in time and bytes: light, one byte; deep, whole pieces that must have their hash.

A look begins with a byte of the largest file: that it comes as a range, of a file of the right length, under which
validators, and where redirects lead. A deep look goes on with the pieces. Whatever the server does, the outcome is a
value.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from smartnode.domain.mirror import MirrorState
from smartnode.domain.network import Proxy, Way
from smartnode.metainfo.addresses import file_address, folder_address
from smartnode.sources.ranges import Caller, Failed, Served, read_range
from smartnode.sources.samples import Part, Proof, Sample
from smartnode.web.transport import client

DEADLINE_S = 30.0
DEADLINE_PER_MIB_S = 1.0
REASON_MAX = 160
_ZEROS = bytes(64 << 10)
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How this node asks web seeds. *deadline_s* holds for a whole look, plus *deadline_per_mib_s* for its pieces."""

    user_agent: str
    allow_private: bool
    proxy: Proxy | None = None
    local_host: str | None = None
    deadline_s: float = DEADLINE_S
    deadline_per_mib_s: float = DEADLINE_PER_MIB_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one look found. *state* LIVE: it served all that was asked; *hashed*: whole pieces, and they were right.

    *target*: what the engine may be given. *reason*: one line, empty when live. *again_in*: the server's own
    Retry-After. *unreached*: no connection, so the host's other files need not be tried now; *crowded*: it counts
    requests per client, the same.
    """

    state: MirrorState
    target: str
    reason: str = ""
    validator: str | None = None
    hashed: bool = False
    again_in: timedelta | None = None
    unreached: bool = False
    crowded: bool = False


async def probe(url: str, proof: Proof, samples: Sequence[Sample] = (), *, manners: Manners, now: datetime) -> Outcome:
    """Look at the web seed *url*: light without *samples*, deep with some; never raises for what a server does."""
    target = folder_address(url) if proof.folder else url
    deadline_s = manners.deadline_s + manners.deadline_per_mib_s * sum(s.size for s in samples) / _MIB
    try:
        async with (
            asyncio.timeout(deadline_s),
            client(
                allow_private=manners.allow_private, way=Way(proxy=manners.proxy, local_host=manners.local_host)
            ) as http,
        ):
            caller = Caller(http=http, user_agent=manners.user_agent, allow_private=manners.allow_private, now=now)
            return await _look(url, proof, samples, caller)
    except Failed as failed:
        return Outcome(
            state=failed.state,
            target=target,
            reason=failed.reason,
            again_in=failed.again_in,
            crowded=failed.crowded,
        )
    except TimeoutError:
        return Outcome(state=MirrorState.WAITING, target=target, reason=f"it takes longer than {deadline_s:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # httpx raises the last at some redirects
        return _broken(target, error)


def _broken(target: str, error: Exception) -> Outcome:
    """Return what an exchange that never came to an answer means."""
    match error:
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | ValueError():
            return Outcome(state=MirrorState.REFUSED, target=target, reason=_line("it cannot be asked", error))
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
            reason = _line("it cannot be reached", error)
            return Outcome(state=MirrorState.WAITING, target=target, reason=reason, unreached=True)
        case httpx.TimeoutException():
            return Outcome(state=MirrorState.WAITING, target=target, reason="it stalls")
        case _:
            return Outcome(state=MirrorState.WAITING, target=target, reason=_line("the connection broke", error))


async def _look(url: str, proof: Proof, samples: Sequence[Sample], caller: Caller) -> Outcome:
    served = await _read(url, proof.anchor, proof, caller)
    if not proof.folder and served.address.endswith("/"):
        # libtorrent would take it for a folder and ask for the file's name below it.
        raise Failed(MirrorState.REFUSED, "it redirects to an address that ends in a slash")
    target = folder_address(url) if proof.folder else served.address
    for sample in samples:
        await _prove(target, sample, proof, caller)
    return Outcome(state=MirrorState.LIVE, target=target, validator=served.validator, hashed=bool(samples))


async def _prove(target: str, sample: Sample, proof: Proof, caller: Caller) -> None:
    """Failed unless the piece has its hash."""
    hasher = sample.hash.hasher()
    for part in sample.parts:
        _pad(hasher.update, part.zeros)
        await _read(target, part, proof, caller, hasher.update)
    _pad(hasher.update, sample.zeros)
    if hasher.digest() != sample.hash.digest:
        raise Failed(MirrorState.BANNED, f"piece {sample.index} of it has the wrong hash")


async def _read(
    url: str, part: Part, proof: Proof, caller: Caller, take: Callable[[bytes], None] = lambda _: None
) -> Served:
    return await read_range(file_address(url, part.path, folder=proof.folder), part, caller=caller, take=take)


def _pad(take: Callable[[bytes], None], zeros: int) -> None:
    for at in range(0, zeros, len(_ZEROS)):
        take(_ZEROS[: zeros - at])


def _line(what: str, error: Exception) -> str:
    """Return one printable line of *what* and the library's reason."""
    said = " ".join((str(error) or type(error).__name__).split())
    return f"{what}: {said.encode('ascii', 'replace').decode()}"[:REASON_MAX]
