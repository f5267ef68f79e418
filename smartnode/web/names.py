"""Names are looked up in threads of their own: a resolver that does not answer holds a thread for half a minute, and
the loop's own threads are needed for the disk.

The threads are daemons, so that none of them holds up the end of the process; so many at a time, beyond that a look-up
fails at once.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future

AT_ONCE = 32
_places = threading.BoundedSemaphore(AT_ONCE)


async def look_up(host: str, port: int) -> list[str]:
    """Return the numeric addresses of *host*, each once, in the resolver's order; OSError or ValueError without one.

    Source: getaddrinfo of the host, for TCP.
    """
    if not _places.acquire(blocking=False):
        message = f"{AT_ONCE} names are being looked up already"
        raise OSError(message)
    future: Future[list[str]] = Future()
    threading.Thread(target=_ask, args=(host, port, future), name="names", daemon=True).start()
    return await asyncio.wrap_future(future)


def _ask(host: str, port: int, future: "Future[list[str]]") -> None:
    try:
        if future.set_running_or_notify_cancel():
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            future.set_result(list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)))
    except Exception as error:  # noqa: BLE001 -- it is handed to whoever asked
        future.set_exception(error)
    finally:
        _places.release()
