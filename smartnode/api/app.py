"""The HTTP API: reads only, the published status and the ledger; answers to loopback names alone (no DNS rebinding).

/healthz is 200 while the process serves; it says nothing about the network. Errors are JSON with one line in
``error``.
"""

from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from smartnode.api.board import Board
from smartnode.api.naming import matching
from smartnode.api.render import decision_json, held_json, status_json, why_json, wish_json
from smartnode.domain.catalogue import Item
from smartnode.domain.identity import info_hash

DECISIONS_DEFAULT = 100
DECISIONS_MAX = 1000


class Endpoints:
    """The handlers; all read one *board*."""

    def __init__(self, board: Board) -> None:
        """Serve what *board* shows."""
        self._board = board

    async def healthz(self, _: Request) -> Response:
        """Return 200 while a listening port exists, else 503: a node that nobody can reach is not healthy."""
        status = self._board.status()
        if status.listen_port == 0 and status.proxy is None:
            return PlainTextResponse("not listening\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def status(self, _: Request) -> Response:
        """Return the node in one object."""
        return JSONResponse(status_json(self._board.status(), datetime.now(UTC)))

    async def items(self, _: Request) -> Response:
        """Return what the node holds, and what the volunteer said of whatever is held or not."""
        status = self._board.status()
        words = {wish.info_hash: wish.word for wish in status.wishes}
        return JSONResponse(
            {
                "items": [held_json(held, words.get(info_hash)) for info_hash, held in status.held.items()],
                "words": [wish_json(wish) for wish in status.wishes],
            }
        )

    async def item(self, request: Request) -> Response:
        """Return one item with its evidence; 404 unknown, 409 ambiguous."""
        status = self._board.status()
        reference = request.path_params["reference"]
        found = matching(_known(status.items, [h.item for h in status.held.values()]), reference)
        if not found:
            return _error(404, f"no item is named {reference!r}; `smartnode list` shows what is held")
        if len(found) > 1:
            names = ", ".join(str(i.key) for i in found[:5])
            return _error(409, f"{reference!r} names {len(found)} items ({names}); use collection/id or more digits")
        item = found[0]
        decisions = (
            await self._board.decisions(limit=DECISIONS_DEFAULT, info_hash=item.torrent.info_hash)
            if item.torrent
            else ()
        )
        body = why_json(status, item, datetime.now(UTC))
        return JSONResponse({**body, "decisions": [decision_json(d) for d in decisions]})

    async def decisions(self, request: Request) -> Response:
        """Return past decisions, newest first; ``?limit=`` up to 1000, ``?info_hash=`` of one torrent."""
        try:
            limit = int(request.query_params.get("limit", DECISIONS_DEFAULT))
            wanted = request.query_params.get("info_hash")
            key = None if wanted is None else info_hash(wanted)
        except ValueError as error:
            return _error(400, f"limit is a whole number and info_hash 40 hex digits: {error}")
        found = await self._board.decisions(limit=max(1, min(limit, DECISIONS_MAX)), info_hash=key)
        return JSONResponse({"decisions": [decision_json(d) for d in found]})


def make_app(board: Board, *, hosts: tuple[str, ...]) -> Starlette:
    """Return the ASGI application; requests whose Host is not one of *hosts* are refused with 400."""
    endpoints = Endpoints(board)
    return Starlette(
        routes=[
            Route("/healthz", endpoints.healthz),
            Route("/api/v1/status", endpoints.status),
            Route("/api/v1/items", endpoints.items),
            Route("/api/v1/items/{reference:path}", endpoints.item),
            Route("/api/v1/decisions", endpoints.decisions),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
    )


def _known(catalogued: tuple[Item, ...], held: list[Item | None]) -> list[Item]:
    return list({i.key: i for i in (*catalogued, *(h for h in held if h is not None))}.values())


def _error(status_code: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status_code=status_code)
