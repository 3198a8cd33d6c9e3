"""A signal at one chosen step of Python's, so that a test can walk through all of them.

    for at in itertools.count():
        if not interrupted(work, at, strike, packaging, shutil):
            break       # the work has fewer steps than that

Python runs a signal's handler where it looks whether one came: at the start of a function, and at the end of a call of
one that is written in C (CPython's `eval_breaker`; where loops jump back, too). There `strike` is called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

LOOKS = ("call", "c_return")


def interrupted(work: Callable[[], object], at: int, strike: Callable[[], object], *modules: ModuleType) -> bool:
    """Call `work`, and `strike` once at the step numbered `at` (from 0) of those that it makes within `modules`. Give
    whether it made that many. What `strike` raises is raised there; `work` says what becomes of it.
    """
    files = {module.__file__ for module in modules}
    left = at

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal left
        if event in LOOKS and frame.f_code.co_filename in files:
            left -= 1
            if left == -1:
                strike()

    outer = sys.getprofile()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(outer)
    return left < 0
