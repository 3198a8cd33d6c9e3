"""Parts of one request, worked on side by side: what fails of one is that one's, unless all fail.

first, second = await gather_parts([one, other])
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ...errors import OvenbirdError

PartResult = TypeVar("PartResult")


async def gather_parts(ways: Sequence[Coroutine[Any, Any, PartResult]]) -> list[PartResult | BaseException]:
    """Return what each gives, or why it gives nothing; where this is cancelled, all are.

    Raises what all, or the only one, failed with, and the first error that is not ours.
    """
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        found = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    failures = [one for one in found if isinstance(one, BaseException)]
    for failure in failures:
        if len(failures) == len(found) or not isinstance(failure, OvenbirdError):
            raise failure
    return found
