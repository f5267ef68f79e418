"""A web server for one file that behaves as it is told: well, or in one of the ways in which mirrors fail."""

import re
import socket
import threading
from pathlib import Path

_RANGE = re.compile(rb"bytes=(\d+)-(\d+)")


class Mirror:
    """Serves *file* at ``url``; *mode* may change at any time."""

    def __init__(self, file: Path, host: str, *, mode: str = "good", target: str = "") -> None:
        """Listen on a free port of *host*; *target*: where mode "moved" sends to."""
        self.mode, self.target = mode, target
        self.requests: list[tuple[int, int]] = []
        self.connections = 0
        self._file = file
        self._host = host
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,))]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """The file's address."""
        return f"http://{self._host}:{self.port}/x.bin"

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        for one in (self._listener, *self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                one.close()
        for thread in self._threads:
            thread.join(10)

    def start_again(self) -> None:
        """Listen on the same port again."""
        self._listener = socket.create_server((self._host, self.port), backlog=64)
        self._threads.append(threading.Thread(target=self._accept, args=(self._listener,)))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        with connection:
            try:
                while got := connection.recv(1 << 16):
                    waiting += got
                    while b"\r\n\r\n" in waiting:
                        request, waiting = waiting.split(b"\r\n\r\n", 1)
                        if not self._answer(connection, request):
                            return
            except OSError:
                return

    def _answer(self, connection: socket.socket, request: bytes) -> bool:
        """Answer one request; say whether the connection stays."""
        asked = _RANGE.search(request)
        if asked is None:  # a tracker is looked for here
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        first, last = int(asked[1]), int(asked[2])
        self.requests.append((first, last))
        whole = self._file.read_bytes()
        body = whole[first : last + 1]
        ranged = f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(whole)}"
        match self.mode:
            case "gone":
                head, body = "404 Not Found", b""
            case "foreign":
                head, body = "404 \xff\xfe", b""
            case "busy":
                head, body = "429 Too Many Requests\r\nRetry-After: 1", b""
            case "moved":
                head, body = f"302 Found\r\nLocation: {self.target}", b""
            case "unranged":
                head, body = "200 OK", whole
            case "closing":
                head = f"{ranged}\r\nConnection: close"
            case "wrong":
                head, body = ranged, bytes(len(body))
            case _:
                head = ranged
        connection.sendall(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1"))
        connection.sendall(body[:5000] if self.mode == "cutting" else body)
        return self.mode not in {"cutting", "closing"}
