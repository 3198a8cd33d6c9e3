"""How far a call over many images is, and how fast, on standard error.

One moving line on a terminal, elsewhere one at the end.

with speed_shown(True) as progress:
    model.predict(images, jobs=2, progress=progress)        # 100 of 100 images, 41.3 images/s
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO


@contextlib.contextmanager
def speed_shown(wanted: bool, stream: IO[str] | None = None) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what to report images to; None where nobody wants to know."""
    if not wanted:
        yield None
        return
    out = sys.stderr if stream is None else stream
    terminal, began, last = out.isatty(), time.perf_counter(), (0, 0)

    def line() -> str:
        return f"{last[0]} of {last[1]} images, {last[0] / (time.perf_counter() - began):.1f} images/s"

    def progress(done: int, total: int) -> None:
        nonlocal last
        last = (done, total)
        if terminal:
            out.write(f"\r{line()}")
            out.flush()

    yield progress
    if last[1]:
        out.write(("\r" if terminal else "") + line() + "\n")
        out.flush()
