"""Graphs that run in eager mode: why, said once, by a warning that a program can filter.

report_once("3 of 5 inputs require gradients: call it under torch.no_grad()")
warnings.simplefilter("error", EagerFallback)
"""

from __future__ import annotations

import threading
import warnings

_said: set[str] = set()
_lock = threading.Lock()


class EagerFallback(UserWarning):
    """A graph that torch runs itself, and why."""


class EagerOnly(Exception):
    """A graph that is not compiled; the message says why."""


def report_once(text: str) -> None:
    """Warn with a text that this process has not warned with yet."""
    with _lock:
        if text in _said:
            return
        _said.add(text)
    warnings.warn(f"Ovenbird leaves a graph to torch: {text}", EagerFallback, stacklevel=2)


def forget() -> None:
    """Let every text be said again, for tests."""
    with _lock:
        _said.clear()
