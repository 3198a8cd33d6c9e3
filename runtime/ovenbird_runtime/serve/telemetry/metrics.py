"""Counters, gauges and histograms, and their exposition in Prometheus' text format 0.0.4.

    metrics = Metrics()
    metrics.add(REQUESTS, 1, "predict", "200")
    metrics.observe(COMPUTE, 0.0187, "resnet50")
    metrics.expose()                              # "# HELP ovenbird_requests_total ..."

Callers on several threads share one lock, held for a microsecond.

Written by hand: the format is a page, and the usual library would be one more dependency of every target, with a lock
for each value.
"""

from __future__ import annotations

import math
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable

from .metric_names import ALL, OPEN_FILES, RSS, START_TIME, THREADS, Metric

_STARTED = time.time()
Labels = tuple[str, ...]


class _Histogram:
    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts, self.total = [0] * (buckets + 1), 0.0


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._lock = threading.Lock()
        self._values: dict[tuple[Metric, Labels], float] = {}
        self._histograms: dict[tuple[Metric, Labels], _Histogram] = {}
        self._gauges: list[Callable[[], list[tuple[Metric, Labels, float]]]] = [_process]

    def add(self, name: Metric, amount: float, *labels: str) -> None:
        """Add to a counter."""
        key = (name, labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def observe(self, name: Metric, value: float, *labels: str) -> None:
        """Put a value into a histogram."""
        key = (name, labels)
        with self._lock:
            found = self._histograms.get(key)
            if found is None:
                found = self._histograms[key] = _Histogram(len(name.buckets))
            found.counts[bisect_left(name.buckets, value)] += 1
            found.total += value

    def watch(self, gauges: Callable[[], list[tuple[Metric, Labels, float]]]) -> None:
        """Ask `gauges` for (name, labels, value) at each exposition."""
        self._gauges.append(gauges)

    def value(self, name: Metric, *labels: str) -> float:
        """Return a counter's value, or a histogram's count; 0 where nothing was counted."""
        with self._lock:
            if name.kind == "histogram":
                found = self._histograms.get((name, labels))
                return float(sum(found.counts)) if found else 0.0
            return self._values.get((name, labels), 0.0)

    def total(self, name: Metric, *labels: str) -> float:
        """Return the sum of a histogram's values."""
        with self._lock:
            found = self._histograms.get((name, labels))
            return found.total if found else 0.0

    def expose(self) -> str:
        """Return everything as text."""
        with self._lock:
            samples: dict[Metric, list[tuple[Labels, float]]] = {}
            for (name, labels), value in self._values.items():
                samples.setdefault(name, []).append((labels, value))
            histograms = [(key, list(h.counts), h.total) for key, h in self._histograms.items()]
        for source in self._gauges:
            for name, labels, value in source():
                samples.setdefault(name, []).append((labels, value))
        lines: list[str] = []
        for name in ALL:
            rows = [(key[1], counts, total) for key, counts, total in histograms if key[0] is name]
            if rows or name in samples:
                lines += header_lines(name)
            lines += [sample_line(name, labels, value) for labels, value in sorted(samples.get(name, []))]
            for labels, counts, total in sorted(rows):
                lines += _histogram_lines(name, labels, counts, total)
        return "\n".join(lines) + "\n"


def header_lines(name: Metric) -> list[str]:
    """Return the two lines before a metric's samples."""
    text = name.help.replace("\\", "\\\\").replace("\n", "\\n")
    return [f"# HELP {name.name} {text}", f"# TYPE {name.name} {name.kind}"]


def sample_line(name: Metric, labels: Labels, value: float, suffix: str = "", bound: str | None = None) -> str:
    """Return one sample's line; this is the one place where labels are escaped, as the text format has it."""
    pairs = [*zip(name.labels, labels, strict=True), *(() if bound is None else (("le", bound),))]
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in pairs)
    return f"{name.name}{suffix}{'{' + inside + '}' if inside else ''} {_number(value)}"


def _histogram_lines(name: Metric, labels: Labels, counts: list[int], total: float) -> list[str]:
    lines, below = [], 0
    for bound, count in zip([*map(_number, name.buckets), "+Inf"], counts, strict=True):
        below += count
        lines.append(sample_line(name, labels, below, "_bucket", bound))
    return [*lines, sample_line(name, labels, total, "_sum"), sample_line(name, labels, below, "_count")]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _process() -> list[tuple[Metric, Labels, float]]:
    return [
        (RSS, (), float(resident_bytes())),
        (THREADS, (), float(threading.active_count())),
        (OPEN_FILES, (), float(open_files())),
        (START_TIME, (), _STARTED),
    ]


def resident_bytes() -> int:
    """Return this process's resident memory; 0 where /proc is not to be read."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - asked for at every scrape
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return 0


def open_files() -> int:
    """Return the number of open descriptors; 0 where /proc is not to be read."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    except OSError:
        return 0
