"""Gather requests into batches and run them: a queue, and one thread for each worker of the model.

    batcher = Batcher(model.run_checked, {(): costs}, workers=1, wait_seconds=0.001, events=events, merge=True)
    batcher.expect(1)                   # an image with a permit is being decoded
    batcher.submit(pending)             # it is ready
    outputs = await pending.future

A batch holds images of one size. It leaves when it is full, when nobody else is on the way, or when the oldest has
waited `wait_seconds` for those who are. Entries whose deadline is over, or whose client left, are dropped when a batch
is formed.

The batcher owns its queue, and everything that `_condition` guards; an entry is a thread's from `_take` until
`_deliver` sets its future, on the event loop. Invariant: **while an entry is queued, some thread looks, runs, or waits
for no longer than `wait_seconds`**. It holds because every `submit` and every `expect` that takes back wakes a thread,
and a thread that ends a batch looks again. `tests/unit/runtime/serve/models/test_batcher_states.py` walks through every
state.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...dataclass import dataclass
from ...errors import EngineError, OvenbirdError
from ...manifest.program import InputSize
from ...tensors.arrays import Array
from ..errors import DeadlineExceeded, NotReady
from .batching import Costs

if TYPE_CHECKING:
    Run = Callable[[int, Mapping[str, Array], bool], dict[str, Array]]


@dataclass
class Pending:
    """Rows of one request, ready to run; times of `time.monotonic`."""

    rows: int
    arrays: Mapping[str, Array]
    deadline: float
    future: asyncio.Future[dict[str, Array]]
    queued: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    batch: int = 0
    size: InputSize = ()
    """Of its images, where the network takes several: others cannot join them."""


Result = tuple[Pending, "dict[str, Any] | None", "BaseException | None"]


class Events(Protocol):
    """What a batcher reports, all of it from its threads."""

    def ran(self, images: int, size: int, seconds: float, waits: list[float]) -> None:
        """Report a batch of `images` in code for `size`."""

    def failed(self, error: BaseException) -> None:
        """Report a batch that the engine did not do."""


@dataclass
class _Work:
    """What a thread is doing: since when (0.0: nothing), and its staging buffers."""

    busy_since: float = 0.0
    staging: dict[tuple[InputSize, str], Array] = field(default_factory=dict)


class Batcher:
    """A queue and the threads that empty it."""

    def __init__(
        self,
        run: Run,
        costs: Mapping[InputSize, Costs],
        workers: int,
        wait_seconds: float,
        events: Events,
        merge: bool,
    ) -> None:
        """Start threads for `workers`, or for the lanes that pay; `costs` are those of each image size.

        `merge` False runs every entry by itself (inputs without a batch dimension).
        """
        self._run, self._events, self._wait, self._merge = run, events, wait_seconds, merge
        self.costs = costs
        self._loop = asyncio.get_running_loop()
        self._condition = threading.Condition()
        self._queue: deque[Pending] = deque()
        self._rows = self._idle = 0
        self._coming: Counter[InputSize] = Counter()
        self._closing = False
        self._work = [_Work() for _ in range(max(one.workers(workers) for one in costs.values()))]
        self._threads = [
            threading.Thread(target=self._serve, args=(work,), name=f"ovenbird-batch-{i}", daemon=True)
            for i, work in enumerate(self._work)
        ]
        for thread in self._threads:
            thread.start()

    # ---- those who bring work: the event loop, and the threads that prepare images

    def expect(self, rows: int, size: InputSize = ()) -> None:
        """Announce rows of one size that are being prepared, or with a negative number that they will not come."""
        with self._condition:
            self._coming[size] += rows
            if rows < 0:
                self._condition.notify()

    def submit(self, entry: Pending) -> None:
        """Queue an entry that was announced by `expect`. Raises NotReady where the batcher is closed."""
        entry.queued = time.monotonic()
        with self._condition:
            self._coming[entry.size] -= entry.rows
            if self._closing:
                raise NotReady("the model is being stopped", retry_after=1)
            self._queue.append(entry)
            self._rows += entry.rows
            self._condition.notify()

    def fail(self, entry: Pending, error: BaseException) -> None:
        """Answer an entry that was never queued with an error. From any thread."""
        self._answer([entry], error)

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self._rows

    def busy_seconds(self) -> float:
        """Return how long the longest call that runs has run."""
        since = [work.busy_since for work in self._work if work.busy_since]
        return time.monotonic() - min(since) if since else 0.0

    def close(self, seconds: float) -> None:
        """Run what is queued, then stop; blocks for at most `seconds`."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            # The model must go with its last request, not at some later collection of cycles: its weights are mapped.
            del self._run, self._events

    # ---- the threads' side

    def _serve(self, work: _Work) -> None:
        while (batch := self._take()) is not None:
            if batch:
                work.busy_since = time.monotonic()
                self._execute(batch, work)
                work.busy_since = 0.0
            del batch

    def _take(self) -> list[Pending] | None:
        """Wait for the next batch; None at the end."""
        with self._condition:
            self._idle += 1
            try:
                while True:
                    if not self._queue:
                        if self._closing:
                            return None
                        self._condition.wait()
                        continue
                    left = self._time_to_gather()
                    if left <= 0:
                        return self._form()
                    self._condition.wait(left)
            finally:
                self._idle -= 1

    def _time_to_gather(self) -> float:
        """Return the seconds that waiting for more is still worth; 0 to go now."""
        first = self._queue[0]
        costs, coming, rows = self.costs[first.size], self._coming[first.size], self._rows_of(first.size)
        if not coming or not self._merge or self._closing or rows >= costs.largest:
            return 0.0
        left = first.queued + self._wait - time.monotonic()
        if left <= 0 or costs.gain(rows, coming) <= left * 1000:
            return 0.0
        return left

    def _rows_of(self, size: InputSize) -> int:
        """Return how many rows of one image size wait."""
        if len(self.costs) == 1:
            return self._rows
        return sum(entry.rows for entry in self._queue if entry.size == size)

    def _form(self) -> list[Pending]:
        now = time.monotonic()
        dropped = [e for e in self._queue if e.future.done() or e.deadline <= now]
        if dropped:
            late = [e for e in dropped if not e.future.done()]
            gone = set(map(id, dropped))
            self._queue = deque(e for e in self._queue if id(e) not in gone)
            self._rows = sum(e.rows for e in self._queue)
            if late:
                error = DeadlineExceeded("the request's time was over before a batch could take it")
                self._answer(late, error)
        if not self._queue:
            return []
        size = self._queue[0].size
        most = self.costs[size].next_batch(self._rows_of(size), self._idle) if self._merge else 0
        batch: list[Pending] = []
        others: list[Pending] = []  # of other sizes, before the batch's last
        rows = 0
        while self._queue:
            entry = self._queue[0]
            if entry.size == size and batch and rows + entry.rows > most:
                break
            self._queue.popleft()
            if entry.size != size:
                others.append(entry)
                continue
            batch.append(entry)
            rows += entry.rows
        self._queue.extendleft(reversed(others))
        self._rows -= rows
        return batch

    def _crowded(self) -> bool:
        """Return whether other batches run or wait."""
        with self._condition:
            return bool(self._queue) or self._idle < len(self._work) - 1

    def _execute(self, batch: list[Pending], work: _Work) -> None:
        started = time.monotonic()
        rows = sum(entry.rows for entry in batch)
        try:
            crowded = self._crowded()
            outputs = self._run(rows, self._joined(batch, rows, work), crowded)
        except OvenbirdError as error:
            self._events.failed(error)
            if len(batch) > 1 and isinstance(error, EngineError):  # one of them may be the cause: each by itself
                for entry in batch:
                    self._execute([entry], work)
                return
            self._answer(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live, and the clients get an answer
            self._events.failed(error)
            self._answer(batch, error)
            return
        finished = time.monotonic()
        results: list[Result] = []
        start = 0
        for entry in batch:
            entry.started, entry.finished, entry.batch = started, finished, rows
            stop = start + entry.rows
            own = outputs if len(batch) == 1 else {name: array[start:stop] for name, array in outputs.items()}
            results.append((entry, own, None))
            start = stop
        costs = self.costs[batch[0].size]
        padded = costs.padding(rows)
        waits = [started - entry.queued for entry in batch]
        self._events.ran(rows, rows + padded, finished - started, waits)
        self._loop.call_soon_threadsafe(_deliver, results)  # last: who has an answer finds it counted

    def _answer(self, entries: list[Pending], error: BaseException) -> None:
        results: list[Result] = [(entry, None, error) for entry in entries]
        self._loop.call_soon_threadsafe(_deliver, results)

    def _joined(self, batch: list[Pending], rows: int, work: _Work) -> Mapping[str, Array]:
        """Copy the batch's rows one after the other, into memory that was paged in long ago."""
        if len(batch) == 1:
            return batch[0].arrays
        joined, size = {}, batch[0].size
        for name, first in batch[0].arrays.items():
            buffer = work.staging.get((size, name))
            if buffer is None or buffer.shape[0] < rows:
                shape = (max(rows, self.costs[size].largest), *first.shape[1:])
                buffer = work.staging[size, name] = np.empty(shape, first.dtype)
            joined[name] = np.concatenate([entry.arrays[name] for entry in batch], out=buffer[:rows])
        return joined


def _deliver(results: list[Result]) -> None:
    for entry, outputs, error in results:
        if entry.future.done():
            continue
        if error is not None:
            entry.future.set_exception(error)
        elif outputs is not None:
            entry.future.set_result(outputs)
