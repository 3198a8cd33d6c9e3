"""Threads for what would keep the event loop: pictures to decode and pre-process, JSON, base64, compressed bodies.

    offload = Offload(threads=2)
    form = await offload.run(read_form, request, limits)
    response = await offload.run_by_size(len(body), compress, response, accept)     # right here where it is small

One pool for all of it, a thread for each processor: a second pool would only take processors from the first. The server
owns it; its queue is that of `ThreadPoolExecutor`, first come, first served. Invariant: everything in it belongs to a
request that was counted in, by a permit (admission.py) or by its bytes (http/account.py), so that those bound it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

# What takes longer to read or to write than to hand to another thread: JSON, compressed bodies, base64.
_WORTH_A_THREAD_BYTES = 65536


class Offload:
    """A pool of threads, one a CPU."""

    def __init__(self, threads: int) -> None:
        """Start no thread before there is work."""
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "ovenbird-offload")

    def start(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run `work(*arguments)`, which raises nothing, on a thread of the pool."""
        self._pool.submit(work, *arguments)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(*arguments)` on a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def run_by_size(self, size: int, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(*arguments)` right here where it goes through few bytes, else on a thread of the pool."""
        return work(*arguments) if size < _WORTH_A_THREAD_BYTES else await self.run(work, *arguments)

    def close(self) -> None:
        """Stop; what has begun ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
