"""What Triton's clients ask of a model's past: how many requests went well, and where their time went.

    deployment.statistics.answered({"queue": 0.002, "compute": 0.015}, seconds=0.021, ok=True)
    deployment.statistics.to_json()["inference_stats"]["queue"]         # {"count": 17, "ns": 8310000}

Counted from when the version that answers was loaded, as Triton does.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

# Triton's names for the stages of a request, and ours
_STAGES = {
    "queue": ("queue",),
    "compute_input": ("decode", "preprocess"),
    "compute_infer": ("compute",),
    "compute_output": ("postprocess",),
}


class _Duration:
    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = self.ns = 0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.ns += int(seconds * 1e9)

    def to_json(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


class Statistics:
    """One model's counts; used from the event loop and from the batcher's threads."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._lock = threading.Lock()
        self._last_ms = 0
        self._durations = {name: _Duration() for name in ("success", "fail", *_STAGES)}
        self._batches: dict[int, _Duration] = {}

    def answered(self, stages: Mapping[str, float], seconds: float, ok: bool) -> None:
        """Count a request that has its answer, with the seconds of its stages; they count where it went well."""
        with self._lock:
            self._last_ms = time.time_ns() // 1_000_000
            self._durations["success" if ok else "fail"].add(seconds)
            if ok:
                for name, ours in _STAGES.items():
                    self._durations[name].add(sum(stages.get(stage, 0.0) for stage in ours))

    def ran(self, images: int, seconds: float) -> None:
        """Count a batch of `images`, without padding."""
        with self._lock:
            self._batches.setdefault(images, _Duration()).add(seconds)

    def to_json(self) -> dict[str, Any]:
        """Return the counts as Triton writes them.

        A batch's input and output times are counted by request, not by batch: their counts there are 0.
        """
        with self._lock:
            return {
                "last_inference": self._last_ms,
                "inference_count": sum(size * found.count for size, found in self._batches.items()),
                "execution_count": sum(found.count for found in self._batches.values()),
                "inference_stats": {name: found.to_json() for name, found in self._durations.items()},
                "batch_stats": [
                    {
                        "batch_size": size,
                        "compute_input": _Duration().to_json(),
                        "compute_infer": found.to_json(),
                        "compute_output": _Duration().to_json(),
                    }
                    for size, found in sorted(self._batches.items())
                ],
            }
