"""Structured logs: one JSON object a line on stderr, written by a thread so that nobody waits for a slow disk.

    log = Log()
    log.write("ready", models=["resnet50"])
    # {"time": "2026-11-21T04:00:00.123Z", "level": "info", "event": "ready", "models": [...]}

A full disk or a closed pipe loses lines, never requests.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from typing import Any, TextIO

import msgspec

from ..limits import SERVE_LOG_LINES


class Log:
    """Where the server's lines go."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, stderr by default."""
        self._stream = sys.stderr if stream is None else stream
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
        """Give the text of a line."""
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
                self._stream.write("".join(map(self._text, lines)))
                self._stream.flush()
            except (OSError, ValueError):  # no space left, or closed
                self.dropped += len(lines)

    def _text(self, line: dict[str, Any]) -> str:
        seconds = line["time"]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        line["time"] = f"{stamp}.{int(seconds % 1 * 1000):03d}Z"
        return self._encoder.encode(line).decode() + "\n"
