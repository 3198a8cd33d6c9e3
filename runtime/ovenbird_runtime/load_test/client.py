"""One HTTP connection that sends the same few requests over and over, at little cost of its own.

client = Client(ServerAddress("127.0.0.1", 8000, "/v1/models/resnet50:predict"), [(body, "image/jpeg")])
status, seconds = client.send()
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import uuid
from itertools import cycle
from urllib.parse import quote, urlsplit

from ..dataclass import dataclass
from ..errors import WrongOption, shown
from ..limits import LOAD_ANSWER_BYTES, LOAD_ANSWER_SECONDS, LOAD_ASK_SECONDS


@dataclass(frozen=True)
class ServerAddress:
    """Where requests go, and the deadline they ask for (ms; 0: the server's own)."""

    host: str
    port: int
    path: str
    timeout_ms: int = 0


def parse_url(url: str) -> tuple[str, int, str]:
    """Return host, port and path of an http URL. Raises WrongOption."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise WrongOption(f"{shown(url)} is no URL: {error}") from None
    if parts.scheme != "http" or not host:
        raise WrongOption(f"{shown(url)} is no URL of a server: give one like http://127.0.0.1:8000")
    return host, port, quote(parts.path.rstrip("/"), safe="/:%")


def form_of(images: list[bytes]) -> tuple[bytes, str]:
    """Return a body of one or many images, and its content type."""
    if len(images) == 1:
        return images[0], "application/octet-stream"
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'.encode()
    return b"".join(head + image + b"\r\n" for image in images) + f"--{mark}--\r\n".encode(), (
        f"multipart/form-data; boundary={mark}"
    )


class Client:
    """A connection, kept alive and made again where it breaks; status 0 stands for no answer."""

    def __init__(
        self, target: ServerAddress, bodies: list[tuple[bytes, str]], seconds: float = LOAD_ANSWER_SECONDS
    ) -> None:
        """Send `bodies` (with their content types) in turn; wait up to `seconds` for each part of an answer."""
        self._target, self._seconds = target, seconds
        self._requests = cycle([self._request(body, kind) for body, kind in bodies])
        self._connection: http.client.HTTPConnection | None = None
        self._asked: float | None = None
        self._cut = False

    def _request(self, body: bytes, kind: str) -> bytes:
        target = self._target
        timeout = f"X-Request-Timeout-Ms: {target.timeout_ms}\r\n" if target.timeout_ms else ""
        host = f"[{target.host}]" if ":" in target.host else target.host
        head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {host}:{target.port}\r\nContent-Type: {kind}\r\n"
            f"{timeout}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body

    def send(self) -> tuple[int, float]:
        """Send the next request and read its answer; return (status, seconds)."""
        request = next(self._requests)
        self._asked = start = time.perf_counter()
        reused = self._connection is not None
        try:
            try:
                status = self._exchange(request)
            except ConnectionError:
                # The server may have closed an idle connection a moment before we used it: that is no failure of its.
                self.close()
                status = self._exchange(request) if reused else 0
        except Exception:  # noqa: BLE001 - a broken connection, or whatever an answer that is none makes of its reader
            self.close()
            status = 0
        self._asked = None
        if self._cut:  # which may look like an answer's end
            self._cut, status = False, 0
        return status, time.perf_counter() - start

    def cut_after(self, seconds: float, now: float) -> None:
        """End the connection where the request under way is older than that: for another thread to call. An answer
        that comes byte by byte meets no time-out of the socket's.
        """
        asked, connection = self._asked, self._connection
        if asked is not None and now - asked > seconds and connection is not None and connection.sock is not None:
            self._cut = True
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, request: bytes) -> int:
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        self._connection.sock.sendall(request)
        response = http.client.HTTPResponse(self._connection.sock, method="POST")
        response.begin()
        if response.msg.defects:  # headers that are none
            raise http.client.HTTPException(str(response.msg.defects[0]))
        read_answer(response, LOAD_ANSWER_BYTES)
        if response.will_close:
            self.close()
        return response.status

    def _connect(self) -> None:
        connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=self._seconds)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def read_answer(response: http.client.HTTPResponse, limit: int) -> bytes:
    """Read a body of at most `limit` bytes to its end. Raises HTTPException for a longer one, or one cut off."""
    parts, size = [], 0
    while part := response.read(65536):
        size += len(part)
        if size > limit:
            raise http.client.HTTPException(f"more than {limit} bytes")
        parts.append(part)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def first_model(host: str, port: int) -> str:
    """Ask a server for the name of its first model. Raises WrongOption where it says none within a few seconds."""
    connection = http.client.HTTPConnection(host, port, timeout=LOAD_ASK_SECONDS)

    def cut() -> None:
        if (sock := connection.sock) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(LOAD_ASK_SECONDS, cut)
    watch.daemon = True
    watch.start()
    try:
        connection.request("GET", "/v1/models")
        found = json.loads(read_answer(connection.getresponse(), LOAD_ANSWER_BYTES))
        return str(found["models"][0]["name"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError, http.client.HTTPException) as error:
        reason = error or type(error).__name__
        raise WrongOption(f"http://{host}:{port}/v1/models names no model ({reason}): give --model") from None
    finally:
        watch.cancel()
        connection.close()
