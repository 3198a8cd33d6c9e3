"""A photograph in tiles: each a row, as a picture of its own would be; then the boxes of all of them, put together.

    prediction = await run_tiles(context, deployment, call, image, options, preparation)

A model has one photograph cut up at a time: decoded ones take up to 75 MB. Its tiles have a permit for as many rows, so
that a request which cannot be answered in time is refused before any of them is run.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from ...options import PredictOptions
from ...postprocess.kind import Asked
from ...postprocess.prediction import Prediction, explain
from ...postprocess.tiles import Area
from ...predicting.tiled import areas_of, put_together
from ...preprocess.images import open_image
from ...tensors.frame import ImageSize
from ..call import Call
from ..context import Context
from ..errors import DeadlineExceeded
from ..models.deployment import Deployment
from ..models.preparation import Preparation
from .rows import Row, run_rows


async def run_tiles(
    context: Context, deployment: Deployment, call: Call, image: Any, options: PredictOptions, preparation: Preparation
) -> Prediction:
    """Return a photograph's prediction. Raises OvenbirdError."""
    try:
        await asyncio.wait_for(deployment.cutting.acquire(), call.deadline - time.monotonic())
    except asyncio.TimeoutError:
        raise DeadlineExceeded("the request's time was over before its photograph could be cut into tiles") from None
    try:
        start = time.monotonic()
        photograph = await context.offload.run(open_image, image, context.settings.limits.megapixels)
        call.spent("decode", time.monotonic() - start)
        areas = areas_of(photograph.size, preparation.pipeline, options)
        permit = deployment.admission.take(len(areas), call.deadline, preparation.size)
        try:
            pieces = [partial(photograph.crop, area) for area in areas]
            rows = await run_rows(context, deployment, call, pieces, preparation)
        finally:
            permit.release()
    finally:
        deployment.cutting.release()
    return await context.offload.run(_together, deployment, rows, areas, photograph.size, options, preparation)


def _together(
    deployment: Deployment,
    rows: list[Row],
    areas: list[Area],
    size: ImageSize,
    options: PredictOptions,
    preparation: Preparation,
) -> Prediction:
    model, found = deployment.model, []
    for row in rows:
        if isinstance(row, BaseException):
            raise row
        outputs, frame = row
        found += explain(model.manifest, outputs, model.labels, preparation.pipeline_name, options, [frame])
    return put_together(model.manifest, areas, found, size, Asked(options, model.labels))
