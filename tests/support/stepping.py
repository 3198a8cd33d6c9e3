"""A condition variable for tests that walk through what threads can do, one step of one thread at a time."""

from __future__ import annotations


class Waits(Exception):
    """Raised where a thread would wait."""


class Steps:
    """A condition variable for one step of one thread."""

    def __init__(self) -> None:
        self.woken = False

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None:
        self.woken = True

    def wait(self, seconds: float | None = None) -> None:
        raise Waits
