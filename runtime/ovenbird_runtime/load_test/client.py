"""One HTTP connection that sends the same few requests over and over, at little cost of its own.

client = Client(Target("127.0.0.1", 8000, "/v1/models/resnet50:predict"), [(body, "image/jpeg")])
status, seconds = client.send()
"""

from __future__ import annotations

import http.client
import socket
import time
import uuid
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit

from ..errors import WrongOption, shown


@dataclass(frozen=True)
class Target:
    """Where requests go, and the deadline they ask for (ms; 0: the server's own)."""

    host: str
    port: int
    path: str
    timeout_ms: int = 0


def parse_url(url: str) -> tuple[str, int, str]:
    """Give host, port and path of an http URL. Raises WrongOption."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise WrongOption(f"{shown(url)} is no URL: {error}") from None
    if parts.scheme != "http" or not host:
        raise WrongOption(f"{shown(url)} is no URL of a server: give one like http://127.0.0.1:8000")
    return host, port, parts.path.rstrip("/")


def form_of(images: list[bytes]) -> tuple[bytes, str]:
    """Give a body of one or many images, and its content type."""
    if len(images) == 1:
        return images[0], "application/octet-stream"
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'.encode()
    return b"".join(head + image + b"\r\n" for image in images) + f"--{mark}--\r\n".encode(), (
        f"multipart/form-data; boundary={mark}"
    )


class Client:
    """A connection, kept alive and made again where it breaks; status 0 stands for no answer."""

    def __init__(self, target: Target, bodies: list[tuple[bytes, str]]) -> None:
        """Send `bodies` (with their content types) in turn."""
        self._target = target
        self._requests = cycle([self._request(body, kind) for body, kind in bodies])
        self._connection: http.client.HTTPConnection | None = None

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
        """Send the next request and read its answer; give (status, seconds)."""
        request = next(self._requests)
        start = time.perf_counter()
        reused = self._connection is not None
        try:
            status = self._exchange(request)
        except (OSError, http.client.HTTPException):
            self.close()
            if not reused:
                return 0, time.perf_counter() - start
            # The server may have closed an idle connection a moment before we used it: that is no failure of its.
            try:
                status = self._exchange(request)
            except (OSError, http.client.HTTPException):
                self.close()
                return 0, time.perf_counter() - start
        return status, time.perf_counter() - start

    def _exchange(self, request: bytes) -> int:
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        self._connection.sock.sendall(request)
        response = http.client.HTTPResponse(self._connection.sock, method="POST")
        response.begin()
        response.read()
        if response.will_close:
            self.close()
        return response.status

    def _connect(self) -> None:
        connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
