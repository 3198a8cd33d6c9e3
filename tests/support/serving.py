"""A real server in a process of its own, and the plainest client: a socket.

with Serving.start(artifact, "--batch-wait-ms", "5") as server:
    status, headers, body = server.request("GET", "/status")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ovenbird_runtime.serve.telemetry.metric_names import ALL

Answer = tuple[int, dict[str, str], bytes]


class Serving:
    """A running `ovenbird-rt serve`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process, self.port, self.lines = process, 0, list[dict[str, Any]]()
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    @contextlib.contextmanager
    def start(cls, *arguments: object, ready: bool = True, prefix: tuple[str, ...] = ()) -> Iterator[Serving]:
        """Start a server on a free port; kill it at the end, whatever happened."""
        command = [*prefix, sys.executable, "-m", "ovenbird_runtime", "serve", "--port", "0", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
        server = cls(process)
        try:
            if ready:
                server.wait_for("ready")
            yield server
        finally:
            process.kill()
            process.wait()
            server._reader.join()
            assert process.stderr is not None
            process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                value = json.loads(line)
            except ValueError:
                value = {"event": "text", "text": line.decode(errors="replace").rstrip()}
            with self._changed:
                self.lines.append(value)
                if value["event"] == "listening":
                    self.port = value["port"]
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, event: str, seconds: float = 60, **fields: Any) -> dict[str, Any]:
        """Wait for the first log line of an event, of the one that has these fields."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.lines:
                    if line["event"] == event and fields.items() <= line.items():
                        return line
                left = end - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"no {event!r} in the server's log: {self.lines[-20:]}")
                self._changed.wait(min(left, 0.5))

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            client.request(method, path, body, headers or {})
            response = client.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            client.close()

    def json(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send and read JSON."""
        body = None if value is None else json.dumps(value).encode()
        kind = {} if value is None else {"Content-Type": "application/json"}
        status, _, answer = self.request(method, path, body, kind | (headers or {}))
        return status, json.loads(answer)

    def raw(self, data: bytes, seconds: float = 10) -> bytes:
        """Send bytes as they are; return all that comes back until the server closes or is silent for `seconds`."""
        with self.connect() as sock:
            sock.settimeout(seconds)
            sock.sendall(data)
            found = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while chunk := sock.recv(65536):
                    found += chunk
            return found

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; 0 where nothing was counted yet.

        A name that is none is refused.
        """
        known = {known.name for known in ALL}
        assert name in known or name.rpartition("_")[0] in known, f"there is no metric {name}"
        _, _, body = self.request("GET", "/metrics")
        found = [line for line in body.decode().splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def stop(self, seconds: float = 40) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def memory_kib(self) -> int:
        return self._status("VmRSS")

    def peak_kib(self) -> int:
        """Return the most memory since `forget_peak`, or since the start."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin to look for a new peak (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def threads(self) -> int:
        return self._status("Threads")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
