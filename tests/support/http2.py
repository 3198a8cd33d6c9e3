"""A gRPC client that can misbehave: calls are opened, fed and left as a test likes.

with Http2(port) as client:
    stream = client.open("/inference.GRPCInferenceService/ModelInfer")
    client.send(stream, b"...")                     # as DATA frames; no END_STREAM
    client.wait(stream)                             # {"grpc-status": "4", "grpc-message": "..."}
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any
from urllib.parse import unquote

import h2.connection
import h2.events
from h2.config import H2Configuration

INFER = "/inference.GRPCInferenceService/ModelInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"


def framed(message: bytes, length: int | None = None, flag: int = 0) -> bytes:
    """Return a message with gRPC's prefix, which may lie about its length."""
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4, "big") + message


class Http2:
    """One connection. Not for concurrent use."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.sock = socket.create_connection((host, port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(H2Configuration(header_encoding="utf-8", validate_outbound_headers=False))
        self.headers: dict[int, dict[str, str]] = {}
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.gone: int | None = None  # the error code of a GOAWAY
        self.closed = False
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Http2:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(self.h2.data_to_send())

    def open(self, path: str = INFER, end: bool = False, **headers: str) -> int:
        """Send a call's headers."""
        stream = self.h2.get_next_available_stream_id()
        found = {
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
            "te": "trailers", "content-type": "application/grpc",
        }  # fmt: skip
        found |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.h2.send_headers(stream, list(found.items()), end_stream=end)
        self.data[stream] = b""
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, end: bool = False, piece: int = 1 << 24, seconds: float = 30) -> int:
        """Send data within the server's windows; return how much went out before the server ended the call."""
        sent, last = 0, time.monotonic() + seconds
        while sent < len(data) and not self.closed and self.gone is None and stream not in self.ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, piece)
            if room > 0:
                part = data[sent : sent + room]
                self.h2.send_data(stream, part)
                sent += len(part)
                self.flush()
                self.receive(0)
            elif time.monotonic() > last:
                raise AssertionError(f"the server opened no window for {seconds} s")
            else:
                self.receive(0.2)
        if end and stream not in self.ended and self.gone is None:
            self.h2.end_stream(stream)
            self.flush()
        return sent

    def reset(self, stream: int) -> None:
        self.h2.reset_stream(stream, 8)
        self.flush()

    def receive(self, seconds: float) -> None:
        """Take what has come within `seconds`."""
        self.sock.settimeout(seconds or 0.000001)
        try:
            data = self.sock.recv(1 << 20)
        except (TimeoutError, BlockingIOError):
            return
        except OSError:
            data = b""
        finally:
            self.sock.settimeout(30)
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()

    def _take(self, event: Any) -> None:
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            found = self.headers.setdefault(event.stream_id, {})
            found.update({name: unquote(value) for name, value in event.headers})
        elif isinstance(event, h2.events.DataReceived):
            self.data[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.gone = int(event.error_code)

    def wait(self, stream: int, seconds: float = 30) -> dict[str, str]:
        """Wait for a call's end; return its headers and trailers."""
        end = time.monotonic() + seconds
        while stream not in self.ended and not self.closed and time.monotonic() < end:
            self.receive(0.1)
        return self.headers.get(stream, {})

    def wait_for_end(self, seconds: float = 30) -> bool:
        """Wait until the server closes; return whether it did."""
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self.receive(0.1)
        return self.closed
