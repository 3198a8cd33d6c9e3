"""The pictures of one request, each a row: prepared and run by itself; the batcher puts together whatever there is.

rows = await run_rows(context, deployment, call, [lambda: body], preparation)
outputs, frame = rows[0]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...tensors.frame import Frame
from ..call import Call
from ..context import Context
from ..models.deployment import Deployment
from ..models.preparation import Preparation
from .parts import gather_parts

Row = tuple[dict[str, Any], Frame] | BaseException
"""One picture's outputs and where the network's input lies in it, or why it has none."""


async def run_rows(
    context: Context,
    deployment: Deployment,
    call: Call,
    pictures: Sequence[Callable[[], Any]],
    preparation: Preparation,
) -> list[Row]:
    """Prepare and run each picture, which is asked for when it is its turn. Raises what the only one, or all, failed
    with.
    """
    if len(pictures) == 1:
        return [await _run_one(context, deployment, call, pictures[0], 0, preparation)]
    ways = [_run_one(context, deployment, call, picture, i, preparation) for i, picture in enumerate(pictures)]
    return await gather_parts(ways)


async def _run_one(
    context: Context,
    deployment: Deployment,
    call: Call,
    picture: Callable[[], Any],
    index: int,
    preparation: Preparation,
) -> Row:
    spent: dict[str, float] = {}
    frames: list[Frame] = []

    def prepare() -> Mapping[str, Any]:
        arrays, frame = preparation.apply(picture(), index, call.deadline, spent)
        frames.append(frame)
        call.stage = "queue"
        return arrays

    outputs, entry = await deployment.infer_prepared(context.offload, prepare, call.deadline, preparation.size)
    for stage, seconds in spent.items():
        call.spent(stage, seconds)
    call.took(entry)
    return outputs, frames[0]
