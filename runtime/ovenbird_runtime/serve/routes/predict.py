"""`POST /v1/models/{model}:predict`: pictures in, labels out.

    curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/models/resnet50:predict?top=3
    curl -F image=@cat.jpg -F image=@dog.png localhost:8000/v1/models/resnet50:predict
    curl --json '{"images": ["<base64>"], "top": 3}' localhost:8000/v1/models/resnet50:predict

An image that cannot be read fails alone; where all fail, so does the request.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any

from ...engine.inputs import check_inputs
from ...errors import OvenbirdError
from ...postprocess.prediction import explain
from ...predict import choose_pipeline, image_input
from ...preprocess.images import open_pixels
from ...preprocess.preprocessor import Preprocessor
from ..context import Call, Context
from ..errors import DeadlineExceeded, forget_frames, status_of
from ..http.messages import Request, Response, error_body
from ..models.deployment import Deployment
from .forms import Form, read_form

if TYPE_CHECKING:
    from ...artifact.steps import Pipeline


async def predict(context: Context, request: Request, call: Call) -> Response:
    """Answer the friendly route."""
    with context.slots.find(call.parameters[0]) as deployment:
        call.answers(deployment)
        form = await _form(context, request)
        manifest = deployment.model.manifest
        spec = image_input(manifest)
        name, pipeline = choose_pipeline(manifest, form.options.preprocess)
        permit = deployment.admission.take(len(form.images), call.deadline)
        try:
            call.images, call.stage = len(form.images), "decode"
            rows = await _run_all(context, deployment, call, form, (spec, pipeline, form.options.seed))
            call.stage = "postprocess"
            start = time.monotonic()
            results: list[Any] = []
            for row in rows:
                if isinstance(row, BaseException):
                    results.append(error_body(row) | {"status": status_of(row).http})
                    forget_frames(row)
                    continue
                answer = explain(manifest, row, deployment.model.labels, name, form.options)
                results.append(answer[0].to_json())
            call.spent("postprocess", time.monotonic() - start)
        finally:
            permit.release()
        call.count(context.metrics, len(form.images))
        return Response.json(_answer(deployment, results, call))


def _answer(deployment: Deployment, results: list[Any], call: Call) -> dict[str, Any]:
    return {
        "model": deployment.name,
        "version": deployment.version,
        "random_weights": deployment.model.manifest.model.weights.random,
        "predictions": results,
        "batch": call.batch,
        "timings_ms": {stage: round(seconds * 1000, 3) for stage, seconds in call.seconds.items()},
    }


async def _form(context: Context, request: Request) -> Form:
    limits = context.settings.limits
    if request.header("content-encoding"):  # who knows how large it is
        form = await context.preparation.run(read_form, request, limits)
    else:
        size = len(request.body) if "json" in request.header("content-type").lower() else 0
        form = await context.preparation.run_by_size(size, read_form, request, limits)
    request.hold(form.made_bytes)
    return form


async def _run_all(
    context: Context, deployment: Deployment, call: Call, form: Form, how: tuple[Any, Pipeline, int]
) -> list[Any]:
    """Prepare and run each image by itself; the batcher puts them together with whatever else there is."""
    if len(form.images) == 1:
        return [await _run_one(context, deployment, call, form.images[0], 0, how)]
    ways = [_run_one(context, deployment, call, image, i, how) for i, image in enumerate(form.images)]
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
    context: Context,
    deployment: Deployment,
    call: Call,
    image: bytes | memoryview,
    index: int,
    how: tuple[Any, Pipeline, int],
) -> dict[str, Any]:
    spent: dict[str, float] = {}
    prepare = functools.partial(_prepare, deployment.model.preprocessor, image, index, *how, context, call, spent)
    outputs, entry = await deployment.infer_prepared(context.preparation, prepare, call.deadline)
    for stage, seconds in spent.items():
        call.spent(stage, seconds)
    call.took(entry)
    return outputs


def _prepare(
    preprocessor: Preprocessor,
    image: bytes | memoryview,
    index: int,
    spec: Any,
    pipeline: Pipeline,
    seed: int,
    context: Context,
    call: Call,
    spent: dict[str, float],
) -> dict[str, Any]:
    """Decode and pre-process one image into the network's input, unless its time is over; the seconds go to `spent`.

    On a thread of the preparation's.
    """
    start = time.monotonic()
    if start > call.deadline:
        raise DeadlineExceeded("the request's time was over before its image could be decoded")
    decoded = open_pixels(image, context.settings.limits.megapixels)
    middle = time.monotonic()
    tensor = preprocessor.apply(pipeline, decoded, seed, index)
    _, arrays = check_inputs((spec,), {spec.name: tensor[None]}, "allow")
    call.stage = "queue"
    spent["decode"], spent["preprocess"] = middle - start, time.monotonic() - middle
    return arrays
