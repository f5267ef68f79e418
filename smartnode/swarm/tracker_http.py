"""An HTTP tracker is asked at the address that its name led to when it was checked (BEP 3, 7, 23, 48).

Laws: no more than three redirects, each to a tracker's address by our own rules; an answer is cut off at 64 KiB and at
15 s; nothing is unpacked (no compression is asked for). With a proxy every name goes to the proxy as it is.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import structlog

from smartnode.domain.identity import NODE_ID_PREFIX, InfoHash
from smartnode.domain.network import Way
from smartnode.errors import SwarmError
from smartnode.swarm import http_answers
from smartnode.swarm.answers import Announced, Counts, TrackerRefusal
from smartnode.swarm.tracker_line import Allowance, TrackerManners, addresses_of
from smartnode.web.address import tracker_address
from smartnode.web.transport import client

REDIRECTS_MAX = 3
STOP_S = 5.0
OK = 200
TOO_MANY_REQUESTS = 429

log = structlog.get_logger(__name__)


@asynccontextmanager
async def http_line(url: str, manners: TrackerManners, allowance: Allowance) -> AsyncIterator["HttpLine"]:
    """Open a client for *url*; nothing is sent before the first question."""
    # Names are resolved, checked and pinned by HttpLine, once per conversation instead of once per request.
    async with client(allow_private=True, way=Way(proxy=manners.proxy, local_host=manners.local_host)) as opened:
        yield HttpLine(url, opened, manners, allowance)


class HttpLine:
    """One HTTP tracker."""

    def __init__(self, url: str, opened: httpx.AsyncClient, manners: TrackerManners, allowance: Allowance) -> None:
        """Ask *url*, an announce address, through *opened*."""
        self._url = url
        self._client = opened
        self._manners = manners
        self._allowance = allowance
        self._pinned: dict[tuple[str, int], list[str]] = {}

    async def scrape(self, hashes: Sequence[InfoHash]) -> dict[InfoHash, Counts]:
        """Return the counts of the torrents that the tracker lists."""
        url = http_answers.scrape_url(self._url)
        if url is None:
            message = "the tracker has no scrape address (BEP 48)"
            raise TrackerRefusal(message)
        raw = await self._get(http_answers.scrape_request(url, hashes))
        return http_answers.parse_scrape(raw, hashes)

    async def announce(self, info_hash: InfoHash, *, left: int) -> Announced:
        """Ask for peers, then take the listing back; its failure is not the look-up's."""
        key, peer_id = secrets.randbits(32), NODE_ID_PREFIX + secrets.token_urlsafe(9).encode()
        says = {
            event: http_answers.announce_request(
                self._url, info_hash=info_hash, peer_id=peer_id, left=left, event=event, key=key
            )
            for event in ("started", "stopped")
        }
        try:
            answer = http_answers.parse_announce(await self._get(says["started"]))
        except SwarmError:
            await self._leave(says["stopped"], info_hash)  # no answer is not to say that nobody listed us
            raise
        await self._leave(says["stopped"], info_hash)
        return answer

    async def _leave(self, url: str, info_hash: InfoHash) -> None:
        try:
            async with asyncio.timeout(min(STOP_S, self._manners.request_s)):
                await self._get(url)
        except (SwarmError, TimeoutError) as error:
            log.debug("tracker.not_left", info_hash=info_hash, reason=str(error))

    async def _get(self, text: str) -> bytes:
        try:
            async with asyncio.timeout(self._manners.request_s):
                url = httpx.URL(text)
                for _ in range(REDIRECTS_MAX + 1):
                    body, location = await self._once(url)
                    if location is None:
                        return body
                    url = redirected(url, location, allow_private=self._manners.allow_private)
        except (TimeoutError, httpx.TimeoutException) as error:
            message = "no answer"
            raise SwarmError(message) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # httpx raises the last at some redirects
            message = f"the tracker cannot be asked: {str(error) or type(error).__name__}"
            raise SwarmError(message) from error
        message = f"the tracker redirects more than {REDIRECTS_MAX} times"
        raise SwarmError(message)

    async def _once(self, url: httpx.URL) -> tuple[bytes, str | None]:
        """Send one request; its body, and where it is redirected to or None."""
        failure: httpx.TransportError | None = None
        port = url.port or (443 if url.scheme == "https" else 80)
        host = url.raw_host.decode("ascii")  # url.host decodes IDNA and raises at labels such as a bare "xn--"
        for address in await self._addresses(host, port):
            if not self._allowance.spend():
                break
            request = self._client.build_request(
                "GET",
                url.copy_with(host=address),
                headers={
                    "Host": url.netloc.decode("ascii"),
                    "User-Agent": self._manners.agent,
                    "Accept-Encoding": "identity",
                },
                extensions={"sni_hostname": host},
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            try:
                if response.has_redirect_location:
                    return b"", response.headers["Location"]
                return await _body(response), None
            finally:
                await response.aclose()
        raise failure or SwarmError("no request is left for this tracker")

    async def _addresses(self, host: str, port: int) -> list[str]:
        if self._manners.proxy is not None:
            return [host]
        if (host, port) not in self._pinned:
            self._pinned[host, port] = await addresses_of(host, port, allow_private=self._manners.allow_private)
        return self._pinned[host, port]


def redirected(url: httpx.URL, location: str, *, allow_private: bool) -> httpx.URL:
    """Return where *location*, untrusted text, leads from *url*; SwarmError unless a tracker may be there."""
    try:
        target = httpx.URL(tracker_address(str(url.join(location)), allow_private=allow_private))
    except (ValueError, httpx.InvalidURL) as error:
        message = f"the tracker redirects to an address that {error}"
        raise SwarmError(message) from error
    if target.scheme not in {"http", "https"}:
        message = "the tracker redirects to an address that is neither http nor https"
        raise SwarmError(message)
    return target


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != OK:
        message = f"HTTP {response.status_code}"
        asks_less = 400 <= response.status_code < 500 and response.status_code != TOO_MANY_REQUESTS  # noqa: PLR2004 -- 4xx
        raise TrackerRefusal(message) if asks_less else SwarmError(message)
    raw = bytearray()
    async for chunk in response.aiter_raw():
        raw += chunk
        if len(raw) > http_answers.ANSWER_MAX_BYTES:
            message = f"the tracker's answer is over {http_answers.ANSWER_MAX_BYTES} bytes"
            raise SwarmError(message)
    return bytes(raw)
