"""Circles of objects, looked for among what is new alone.

look_seldom()           # while modules are imported: a sixth of the time that torch and TVM take
with only_new_garbage():
    ...
    gc.collect()        # microseconds instead of 0.3 s: torch's and TVM's million objects are left out
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

USUAL = gc.get_threshold()
SELDOM = (50_000, 20, 100)
"""Objects between two searches for circles, and searches between those among older ones."""


def look_seldom() -> None:
    """Search this process seldom: what it imports stays, and every search among the oldest looks at all of it."""
    gc.set_threshold(*SELDOM)


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Keep all that is there, which is imported modules above all, out of the collector's sight until the end.

    What is new is searched as often as is usual: a small circle may hold large weights. Circles that were garbage
    before are freed later; what somebody else has frozen stays so.
    """
    frozen, before = gc.get_freeze_count(), gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*USUAL)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()
