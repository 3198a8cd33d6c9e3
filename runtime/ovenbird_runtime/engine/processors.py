"""Whose turn it is: models that are loaded into one process share its processors call by call, not all at once.

    share = new_share()                     # a model's
    with share.turn(threads=2):             # waits while other models have the processors
        ...                                 # compiled code, on two threads

Every layer of compiled code ends when the last of its threads does. Two models at once, each on all threads, wait at
the end of every layer for threads that the other one keeps from running: three of them on two processors answered one
request in seven too late, though each alone would have been in time.

The rule: the first in line begins where it would be the only model that runs, or where there are processors left for
its threads. First in line is, in all fairness, the model that has had the least of their time since it last had nothing
to do, where no call counts for more than `CALL_SECONDS`; of one model, who came first. So a model alone never waits, a
small one has several short calls for each long one of the others, and a large one waits for some of them, not until all
have had as much as it. But a server promises its clients an answer in time (`promises.py`). Where a promise would be
broken if the fair one went first, the model goes first that has promised something for the earliest time; but nobody
waits for that for longer than `MAX_TURN_SECONDS`.

The invariant: **while somebody waits, somebody runs, or the first in line is awake.** Who is first is decided once,
where somebody comes, begins or ends, and stands until the next of these: were it asked by each who wakes up, time would
have passed between them, and each might find another one to be first. Whoever has a turn waits for nobody, so every
turn ends; each of these events wakes all who wait, and one of them is first. A call that hangs would end that, so a
turn counts for `MAX_TURN_SECONDS` at most, and who waits looks again when the next one's are over.
`tests/unit/runtime/engine/test_processors.py` walks through every state, `test_promises.py` through every schedule of
a few requests.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..dataclass import dataclass
from ..limits import MAX_TURN_SECONDS
from ..machine.cpu import available_threads
from .promises import Promise, Promises

CALL_SECONDS = 0.1
"""A longer call counts as one of so long."""
USUAL_DECAY = 0.9
"""How much of what a model's longest call took is still expected after each shorter one."""


class ProcessorShare:
    """A model's part of the processors."""

    def __init__(self, processors: Processors) -> None:
        """Made by `new_share`."""
        self._processors = processors
        self.had = 0.0
        """Seconds of a processor that count as had: those of its calls, and what it was too idle to have."""
        self.turns = 0
        """Its turns that wait or run."""
        self.usual = 0.0
        """Seconds that its longest calls took of late."""

    @contextmanager
    def turn(self, threads: int) -> Iterator[None]:
        """Wait until `threads` threads of this model may run, which they may until the block ends."""
        turn = self._processors.begin(self, threads)
        try:
            yield
        finally:
            self._processors.end(turn)

    def promise(self, seconds: float, deadline: float) -> Promise:
        """Promise work that takes all processors for `seconds`, to be done by a time; `withdraw` must follow."""
        return self._processors.promise(Promise(self, seconds, deadline))

    def withdraw(self, promise: Promise) -> None:
        """Forget a promise: it was kept, or is not worth keeping any more."""
        self._processors.withdraw(promise)

    def needed(self, seconds: float, deadline: float) -> float:
        """Return in how many seconds work would be done that takes `seconds`, so that no promise is broken. What others
        have let in is counted no higher than a fair part of the processors for each: a model that floods a process
        leaves room for the others.
        """
        return self._processors.needed(self, seconds, deadline)


@dataclass(eq=False)
class Turn:
    """One call's, from when it begins to wait."""

    share: ProcessorShare
    threads: int
    place: int
    """Among all that ever came."""
    came: float
    began: float = 0.0


class Processors:
    """The processors of a process, who has them, and who waits."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nobody; `count` threads may run at one time."""
        self._count, self._clock = count, clock
        self._changed = threading.Condition()
        self._waiting: list[Turn] = []
        self._running: list[Turn] = []
        self._first: Turn | None = None
        """Who may begin next, of those who wait."""
        self._promises = Promises()
        self._came = 0
        self._least = 0.0
        """What the share that began last had had by then: where one starts that was idle."""

    def begin(self, share: ProcessorShare, threads: int) -> Turn:
        """Wait for a turn; `end` must follow."""
        with self._changed:
            turn = self._arrive(share, threads)
            self._choose()
            while not self._may_begin(turn):
                ends = [one.began + MAX_TURN_SECONDS - self._clock() for one in self._counted()]
                self._changed.wait(min(ends, default=None))
            self._start(turn)
            return turn

    def end(self, turn: Turn) -> None:
        """End a turn."""
        with self._changed:
            self._running.remove(turn)
            seconds, share = self._clock() - turn.began, turn.share
            share.had += min(seconds, CALL_SECONDS) * turn.threads
            share.usual = max(seconds, share.usual * USUAL_DECAY)
            share.turns -= 1
            self._choose()

    def promise(self, promise: Promise) -> Promise:
        """Take a promise of a model's."""
        with self._changed:
            return self._promises.add(promise)

    def withdraw(self, promise: Promise) -> None:
        """Forget a promise."""
        with self._changed:
            self._promises.remove(promise)

    def needed(self, share: ProcessorShare, seconds: float, deadline: float) -> float:
        """Return in how many seconds work of a model would be done."""
        with self._changed:
            now = self._clock()
            rests = {one.share: max(0.0, one.began + one.share.usual - now) for one in self._counted()}
            needed = self._promises.needed(share, seconds, deadline, now, rests)
            return min(needed, self._promises.needed_in_turn(share, seconds))

    def _arrive(self, share: ProcessorShare, threads: int) -> Turn:
        if not share.turns:
            share.had = max(share.had, self._least)  # nobody is owed what it did not ask for
        share.turns += 1
        self._came += 1
        turn = Turn(share, threads, self._came, self._clock())
        self._waiting.append(turn)
        return turn

    def _start(self, turn: Turn) -> None:
        self._waiting.remove(turn)
        self._running.append(turn)
        self._least, turn.began = max(self._least, turn.share.had), self._clock()
        self._choose()  # there may be processors left for the next one in line

    def _choose(self) -> None:
        """Decide who is first in line, by the rule, and wake up who waits: it may be time for one of them."""
        fair = min(self._waiting, key=lambda one: (one.share.had, one.place), default=None)
        pressing = self._pressing(fair) if fair is not None else None
        self._first = fair if pressing is None else pressing
        self._changed.notify_all()

    def _pressing(self, fair: Turn) -> Turn | None:
        """Return who must go first for a promise to be kept; None where the fair one may."""
        shares, now = {one.share for one in self._waiting}, self._clock()
        if len(shares) == 1 or now >= fair.came + MAX_TURN_SECONDS or self._promises.spare(now) >= fair.share.usual:
            return None
        promise = self._promises.first_of(shares)
        return next((one for one in self._waiting if promise is not None and one.share is promise.share), None)

    def _may_begin(self, turn: Turn) -> bool:
        """Return whether it is this turn's time."""
        if turn is not self._first:
            return False
        running = self._counted()
        alone = all(one.share is turn.share for one in running)
        return alone or sum(one.threads for one in running) + turn.threads <= self._count

    def _counted(self) -> list[Turn]:
        """Return the turns that run and have not done so for too long."""
        now = self._clock()
        return [one for one in self._running if now < one.began + MAX_TURN_SECONDS]


_processors = Processors(available_threads())


def new_share() -> ProcessorShare:
    """Return the share of one more model of this process."""
    return ProcessorShare(_processors)


def lone_share() -> ProcessorShare:
    """Return the share of a model that runs elsewhere, on processors of its own."""
    return ProcessorShare(Processors(1))


def _forget() -> None:
    """In a forked child: nobody of the parent runs there, and one of its threads may have held the lock."""
    global _processors
    _processors = Processors(available_threads())


os.register_at_fork(after_in_child=_forget)
