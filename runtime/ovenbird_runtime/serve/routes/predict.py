"""`POST /v1/models/{model}:predict`: pictures in, labels out.

    curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/models/resnet50:predict?top=3
    curl -F image=@cat.jpg -F image=@dog.png localhost:8000/v1/models/resnet50:predict
    curl --json '{"images": ["<base64>"], "top": 3}' localhost:8000/v1/models/resnet50:predict

An image that cannot be read fails alone; where all fail, so does the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import OvenbirdError
from ...manifest.answers import Boxes
from ...postprocess.prediction import explain
from ...tensors.frame import Frame
from ..call import Call
from ..context import Context
from ..errors import forget_frames, public_body, status_of
from ..http.messages import Request, Response
from ..models.deployment import Deployment
from ..models.preparation import Preparation
from .forms import PredictForm, read_form

Image = bytes | memoryview
Row = tuple[dict[str, Any], Frame] | BaseException
"""One image's outputs and where the network's input lies in it, or why it has none."""


async def predict(context: Context, request: Request, call: Call) -> Response:
    """Answer the friendly route."""
    with context.slots.find(call.parameters[0]) as deployment:
        call.answered_by(deployment)
        form = await _form(context, request)
        preparation = Preparation(deployment.model, form.options, context.settings.limits.megapixels)
        permit = deployment.admission.take(len(form.images), call.deadline, preparation.size)
        try:
            call.images, call.stage = len(form.images), "decode"
            rows = await _run_all(context, deployment, call, form.images, preparation)
            call.stage = "postprocess"
            start = time.monotonic()
            results = [await _answered(context, deployment, row, form, preparation) for row in rows]
            call.spent("postprocess", time.monotonic() - start)
        finally:
            permit.release()
        call.count(context.metrics, len(form.images))
        return Response.json(_answer(deployment, results, call))


async def _form(context: Context, request: Request) -> PredictForm:
    limits = context.settings.limits
    if request.header("content-encoding"):  # who knows how large it is
        form = await context.offload.run(read_form, request, limits)
    else:
        size = len(request.body) if "json" in request.header("content-type").lower() else 0
        form = await context.offload.run_by_size(size, read_form, request, limits)
    request.hold(form.made_bytes)
    return form


async def _run_all(
    context: Context, deployment: Deployment, call: Call, images: Sequence[Image], preparation: Preparation
) -> list[Row]:
    """Prepare and run each image by itself; the batcher puts them together with whatever else there is."""
    if len(images) == 1:
        return [await _run_one(context, deployment, call, images[0], 0, preparation)]
    ways = [_run_one(context, deployment, call, image, i, preparation) for i, image in enumerate(images)]
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        rows = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    failures = [row for row in rows if isinstance(row, BaseException)]
    for failure in failures:
        if len(failures) == len(rows) or not isinstance(failure, OvenbirdError):
            raise failure
    return rows


async def _run_one(
    context: Context, deployment: Deployment, call: Call, image: Image, index: int, preparation: Preparation
) -> Row:
    spent: dict[str, float] = {}
    frames: list[Frame] = []

    def prepare() -> Mapping[str, Any]:
        arrays, frame = preparation.apply(image, index, call.deadline, spent)
        frames.append(frame)
        call.stage = "queue"
        return arrays

    outputs, entry = await deployment.infer_prepared(context.offload, prepare, call.deadline, preparation.size)
    for stage, seconds in spent.items():
        call.spent(stage, seconds)
    call.took(entry)
    return outputs, frames[0]


async def _answered(
    context: Context, deployment: Deployment, row: Row, form: PredictForm, preparation: Preparation
) -> dict[str, Any]:
    """Return what `_result` does; boxes, which take milliseconds, and masks, which take more, on another thread."""
    arguments = deployment, row, form, preparation.pipeline_name
    if any(isinstance(step, Boxes) for step in deployment.model.manifest.postprocess):
        return await context.offload.run(_result, *arguments)
    return _result(*arguments)


def _result(deployment: Deployment, row: Row, form: PredictForm, pipeline: str) -> dict[str, Any]:
    """Return an image's prediction as JSON, or its error."""
    if isinstance(row, BaseException):
        found = public_body(row) | {"status": status_of(row).http}
        forget_frames(row)
        return found
    model, (outputs, frame) = deployment.model, row
    return explain(model.manifest, outputs, model.labels, pipeline, form.options, [frame])[0].to_json()


def _answer(deployment: Deployment, results: list[dict[str, Any]], call: Call) -> dict[str, Any]:
    return {
        "model": deployment.name,
        "version": deployment.version,
        "random_weights": deployment.model.manifest.model.weights.random,
        "predictions": results,
        "batch": call.batch,
        "timings_ms": {stage: round(seconds * 1000, 3) for stage, seconds in call.seconds.items()},
    }
