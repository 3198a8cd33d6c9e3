"""Torch without what differs from machine to machine, and without its remarks; in several threads at once, too.

with torch.no_grad(), steady_torch():
    ...                         # a call of a network
"""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

import torch


class _Quiet:
    """While a thread is inside, torch's remarks are not heard, and its short cut for encoders is not taken.

    That answers zeros for padded tokens where they stand last in each row. The first in turns both off.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        """Threads, or blocks within each other. Read and written under the lock, as is what follows."""
        self.left = contextlib.ExitStack()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with self.lock:
            if not self.inside:
                self.left = self._turned_off()
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if not self.inside:
                    self.left.close()

    def _turned_off(self) -> contextlib.ExitStack:
        left = contextlib.ExitStack()
        left.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)  # torch logs a page of code where it cannot trace
        left.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        left.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        return left


_QUIET = _Quiet()


@contextlib.contextmanager
def steady_torch() -> Iterator[None]:
    """Run torch on one thread, so that its sums do not depend on the number of cores, and without its remarks.

    Threads that are inside at once each have torch on one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _QUIET.held():
            yield
    finally:
        torch.set_num_threads(threads)
