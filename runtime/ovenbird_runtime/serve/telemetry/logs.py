"""Structured logs: one JSON object a line on stderr, written by a thread so that nobody waits for a slow disk.

    log = Log()
    log.write("ready", models=["resnet50"])
    # {"time": "2026-11-21T04:00:00.123Z", "level": "info", "event": "ready", "models": [...]}

A full disk or a closed pipe loses lines, never requests. Any thread puts lines into the queue, the log's own thread
alone takes them. Invariant: the queue never has more than `SERVE_LOG_LINES`, and `write` never waits: what finds no
room is counted.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from typing import Any, TextIO

import msgspec

from ...limits import SERVE_LOG_LINES

_STDERR = 2


class Log:
    """Where the server's lines go."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default to standard error's descriptor: `sys.stderr` hides its errors from commands."""
        self._stream = stream
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(SERVE_LOG_LINES)
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self.dropped = 0
        self._thread = threading.Thread(target=self._drain, name="ovenbird-log", daemon=True)
        self._thread.start()

    def write(self, event: str, level: str = "info", **fields: Any) -> None:
        """Write one line; dropped and counted where too many wait."""
        try:
            self._lines.put_nowait({"time": time.time(), "level": level, "event": event} | fields)
        except queue.Full:
            self.dropped += 1

    def line(self, event: str, level: str = "info", **fields: Any) -> str:
        """Return the text of a line."""
        return self._text({"time": time.time(), "level": level, "event": event} | fields)

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most `seconds`."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _drain(self) -> None:
        while (line := self._lines.get()) is not None:
            lines = [line]
            with contextlib.suppress(queue.Empty):
                while len(lines) < 256:
                    more = self._lines.get_nowait()
                    if more is None:
                        self._lines.put(None)
                        break
                    lines.append(more)
            try:
                self._write("".join(map(self._text, lines)))
            except (OSError, ValueError):  # no space left, or closed
                self.dropped += len(lines)

    def _write(self, text: str) -> None:
        """Write whole lines. Raises OSError, ValueError."""
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
            return
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        while left:
            left = left[os.write(_STDERR, left) :]

    def _text(self, line: dict[str, Any]) -> str:
        seconds = line["time"]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        line["time"] = f"{stamp}.{int(seconds % 1 * 1000):03d}Z"
        return self._encoder.encode(line).decode() + "\n"
