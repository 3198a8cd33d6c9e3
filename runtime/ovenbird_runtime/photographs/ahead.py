"""Photographs prepared ahead of the network: threads open and pre-process the next ones while it runs.

    pace = Pace(jobs=2, progress=lambda done, total: print(done, "of", total))
    for portion in ahead(prepare, sources, 8, pace.jobs): ...

What is ahead is bounded: a portion waits, and each thread holds one photograph. Decoders and compiled kernels let other
threads run meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..arguments import whole
from ..dataclass import dataclass
from ..errors import ImageError, OvenbirdError, PipelineError, forget_frames
from ..limits import MAX_JOBS

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")
T = TypeVar("T")
ImagesDone = Callable[[int, int], object]
"""Called with how many images are done, and of how many."""
ImageFailed = Callable[[int, OvenbirdError], object]
"""Called with an image's place in the call and why it has no answer; where threads prepare images, by those."""


@dataclass(frozen=True)
class Pace:
    """How many threads prepare images ahead of the network (0: none, one image after the other), who hears how far
    a call is, and of images that cannot be read; they end the call where nobody does. Raises WrongOption.
    """

    jobs: int = 0
    progress: ImagesDone | None = None
    failed: ImageFailed | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        object.__setattr__(self, "jobs", whole("jobs", self.jobs, 0, MAX_JOBS))

    def report(self, done: int, total: int) -> None:
        """Call who wants to know."""
        if self.progress is not None:
            self.progress(done, total)

    def attempt(self, prepare: Callable[[int, T], R], place: int, source: T) -> R | None:
        """Return what `prepare` makes of an image; None where it cannot be read or prepared, and somebody hears of it.

        Raises what `prepare` raises where nobody does, and what is no fault of the image.
        """
        try:
            return prepare(place, source)
        except (ImageError, PipelineError) as error:
            if self.failed is None:
                raise
            forget_frames(error)
            self.failed(place, error)
            return None


def ahead(prepare: Callable[[int, Any], T], sources: Sequence[Any], portion: int, jobs: int) -> Iterator[list[T]]:
    """Yield what `prepare(place, source)` gives of each source, in order, in lists as long as `portion_sizes` says.

    A portion and one source a job are ahead of the caller. What `prepare` raises is raised in its place, and ends what
    was begun.
    """
    from concurrent.futures import ThreadPoolExecutor  # it would be part of every start

    with ThreadPoolExecutor(jobs, thread_name_prefix="ovenbird-prepare") as pool:
        begun: deque[Future[T]] = deque()
        following = iter(enumerate(sources))

        def begin(most: int) -> None:
            while len(begun) < most and (one := next(following, None)) is not None:
                begun.append(pool.submit(prepare, *one))

        try:
            for size in portion_sizes(len(sources), portion):
                begin(portion + jobs)
                ready: list[T] = []
                while len(ready) < size:
                    ready.append(begun.popleft().result())
                    begin(portion + jobs)
                yield ready
        finally:
            for future in begun:
                future.cancel()


def portion_sizes(count: int, most: int) -> Iterator[int]:
    """Yield the sizes of portions that make `count`: growing from one, as the network waits for the first, and
    shrinking to one, as nobody prepares while it has the last. They depend on no clock, so neither do answers.
    """
    size = 1
    while count:
        now = min(size, most, -(-count // 2))
        yield now
        count, size = count - now, 2 * size
