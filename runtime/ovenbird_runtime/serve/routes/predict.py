"""`POST /v1/models/{model}:predict`: pictures in, labels, boxes or sentences out.

    curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/models/resnet50:predict?top=3
    curl -F image=@cat.jpg -F image=@dog.png localhost:8000/v1/models/resnet50:predict
    curl --json '{"images": ["<base64>"], "top": 3}' localhost:8000/v1/models/resnet50:predict

An image that cannot be read fails alone; where all fail, so does the request.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ...errors import OvenbirdError, forget_frames
from ...manifest.answers import Boxes
from ...postprocess.prediction import Prediction, explain
from ..call import Call
from ..context import Context
from ..errors import public_body, status_of
from ..http.errors import BadRequest
from ..http.messages import Request, Response
from ..models.deployment import Deployment
from ..models.preparation import Preparation
from ..models.text_deployment import TextDeployment
from .forms import ImageBytes, PredictForm, read_form
from .rows import Row, run_rows
from .texts import TextEventForm, stream_text, write_texts
from .tiled import run_tiles

JsonPrediction = dict[str, Any]
"""One image's prediction as JSON, or its error."""


async def predict(context: Context, request: Request, call: Call) -> Response:
    """Answer the friendly route."""
    with context.slots.find(call.parameters[0]) as deployment:
        call.answered_by(deployment)
        form = await _form(context, request)
        call.images, call.stage = len(form.images), "decode"
        if isinstance(deployment, TextDeployment):
            return await _text(context, deployment, call, form)
        if form.stream:
            raise BadRequest(f"stream is for models that write text; {deployment.name} answers at once")
        preparation = Preparation(deployment.model, form.options, context.settings.limits.megapixels)
        run = _whole if form.options.tiles is None else _in_tiles
        results = await run(context, deployment, call, form, preparation)
        call.count(context.metrics, len(form.images))
        return Response.json(_answer(deployment, results, call))


async def _text(context: Context, deployment: TextDeployment, call: Call, form: PredictForm) -> Response:
    """Answer with texts, whole or as they are written."""
    if form.stream:
        prompt = deployment.writer.request(form.options.prompt).prompt
        whole = partial(_streamed, deployment, call)
        events = TextEventForm(deployment.writer.pieces, len(prompt), whole)
        return await stream_text(context, deployment, call, form.images, form.options, events)
    found = await write_texts(context, deployment, call, form.images, form.options)
    call.count(context.metrics, len(form.images))
    results = [_failure(one) if isinstance(one, BaseException) else one.to_json() for one in found]
    return Response.json(_answer(deployment, results, call))


def _streamed(deployment: Deployment, call: Call, prediction: Prediction) -> dict[str, Any]:
    return _answer(deployment, [prediction.to_json()], call)


async def _form(context: Context, request: Request) -> PredictForm:
    limits = context.settings.limits
    if request.header("content-encoding"):  # who knows how large it is
        form = await context.offload.run(read_form, request, limits)
    else:
        size = len(request.body) if "json" in request.header("content-type").lower() else 0
        form = await context.offload.run_by_size(size, read_form, request, limits)
    request.hold(form.made_bytes)
    return form


async def _whole(
    context: Context, deployment: Deployment, call: Call, form: PredictForm, preparation: Preparation
) -> list[JsonPrediction]:
    """Answer images, each of which is a row."""
    permit = deployment.admission.take(len(form.images), call.deadline, preparation.size)
    try:
        pictures = [partial(_itself, image) for image in form.images]
        rows = await run_rows(context, deployment, call, pictures, preparation)
        call.stage = "postprocess"
        start = time.monotonic()
        results = [await _answered(context, deployment, row, form, preparation) for row in rows]
        call.spent("postprocess", time.monotonic() - start)
    finally:
        permit.release()
    return results


def _itself(image: ImageBytes) -> ImageBytes:
    return image


async def _in_tiles(
    context: Context, deployment: Deployment, call: Call, form: PredictForm, preparation: Preparation
) -> list[JsonPrediction]:
    """Answer images one after the other, each of which is cut up."""
    results: list[JsonPrediction] = []
    failures: list[OvenbirdError] = []
    for image in form.images:
        try:
            found = await run_tiles(context, deployment, call, image, form.options, preparation)
        except OvenbirdError as error:
            failures.append(error)
            results.append(_failure(error))
        else:
            results.append(await context.offload.run(found.to_json))
    if len(failures) == len(results):
        raise failures[0]
    return results


async def _answered(
    context: Context, deployment: Deployment, row: Row, form: PredictForm, preparation: Preparation
) -> JsonPrediction:
    """Return what `_result` does; boxes, which take milliseconds, and masks, which take more, on another thread."""
    arguments = deployment, row, form, preparation.pipeline_name
    if any(isinstance(step, Boxes) for step in deployment.model.manifest.postprocess):
        return await context.offload.run(_result, *arguments)
    return _result(*arguments)


def _result(deployment: Deployment, row: Row, form: PredictForm, pipeline: str) -> JsonPrediction:
    if isinstance(row, BaseException):
        return _failure(row)
    model, (outputs, frame) = deployment.model, row
    return explain(model.manifest, outputs, model.labels, pipeline, form.options, [frame])[0].to_json()


def _failure(error: BaseException) -> JsonPrediction:
    found = public_body(error) | {"status": status_of(error).http}
    forget_frames(error)
    return found


def _answer(deployment: Deployment, results: list[JsonPrediction], call: Call) -> dict[str, Any]:
    return {
        "model": deployment.name,
        "version": deployment.version,
        "random_weights": deployment.model.manifest.model.weights.random,
        "predictions": results,
        "batch": call.batch,
        "timings_ms": {stage: round(seconds * 1000, 3) for stage, seconds in call.seconds.items()},
    }
