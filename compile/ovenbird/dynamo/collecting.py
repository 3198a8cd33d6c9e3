"""Python's garbage collector while Dynamo traces: it looks at new objects alone.

    look_at_new_alone()         # once, before the first graph is traced

torch, Dynamo and a network are half a million objects, and tracing makes as many: the collector looks at all of them
once or twice, 0.2 s each time. What was there before is set aside meanwhile, and put back before the first call.
"""

from __future__ import annotations

import gc
from typing import Any

import torch._dynamo


def look_at_new_alone() -> None:
    """Set objects aside from the beginning of each trace to its end. A torch that reports neither is left as it is."""
    handler = getattr(getattr(torch._dynamo, "callback", None), "callback_handler", None)
    if handler is None or _set_aside in handler.start_callbacks:
        return
    handler.register_start_callback(_set_aside)
    handler.register_end_callback(_put_back)


_ours: list[bool] = []
"""Whether what is aside was set aside here: a program that did so itself keeps its own there."""


def _set_aside(_: Any) -> None:
    _ours.append(gc.isenabled() and not gc.get_freeze_count())
    if _ours[-1]:
        gc.freeze()


def _put_back(_: Any) -> None:
    if _ours and _ours.pop():
        gc.unfreeze()
