"""Pictures in, sentences out, on the friendly route: whole, or as they are written, in server-sent events.

    curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/models/git:predict
    curl -N --data-binary @cat.jpg localhost:8000/v1/models/git:predict?stream=true

    data: {"text":"a cat","tokens":[1037,4937]}
    event: done
    data: {"model":"git", ..., "predictions":[{"text":{"logits":{"text":"a cat on a bed", ...}}}]}

What fails before the first token is an HTTP status, as everywhere; later failures are an event named `error`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ...generation.text import TextRequest
from ...generation.wordpiece import WordPieces
from ...options import PredictOptions
from ...postprocess.prediction import Prediction
from ...postprocess.text import TEXTS
from ...tensors.frame import Frame
from ..call import Call
from ..context import Context
from ..errors import public_body
from ..http.errors import BadRequest
from ..http.messages import Response
from ..models.preparation import Preparation
from ..models.text_deployment import TextDeployment
from .forms import ImageBytes
from .parts import gather_parts

Tokens = tuple[int, ...]
Event = Tokens | asyncio.Future[Any]
"""All tokens so far, or the text's end."""


async def write_texts(
    context: Context, deployment: TextDeployment, call: Call, images: Sequence[ImageBytes], options: PredictOptions
) -> list[Prediction | BaseException]:
    """Return a prediction for each image, or why there is none. Raises what the only one, or all, failed with."""
    preparation = Preparation(deployment.model, options, context.settings.limits.megapixels)
    request = deployment.writer.request(options.prompt, options.max_tokens, options.beams)
    permit = deployment.admit(len(images), request, call.deadline)
    try:
        return await gather_parts(
            [
                _write(context, deployment, call, image, place, preparation, request, options)
                for place, image in enumerate(images)
            ]
        )
    finally:
        permit.release()


async def _write(
    context: Context,
    deployment: TextDeployment,
    call: Call,
    image: ImageBytes,
    place: int,
    preparation: Preparation,
    request: TextRequest,
    options: PredictOptions,
    written: Callable[[Tokens], None] | None = None,
) -> Prediction:
    """Write the text of one image."""
    spent: dict[str, float] = {}
    frames: list[Frame] = []

    def prepare() -> Mapping[str, Any]:
        arrays, frame = preparation.apply(image, place, call.deadline, spent)
        frames.append(frame)
        call.stage = "queue"
        return arrays

    answer, entry = await deployment.write(context.offload, prepare, request, call.deadline, written)
    for stage, seconds in spent.items():
        call.spent(stage, seconds)
    call.spent("queue", entry.started - entry.queued)
    call.spent("compute", entry.finished - entry.started)
    call.batch = max(call.batch, entry.batch)
    manifest = deployment.model.manifest
    answers = {TEXTS.field: {deployment.writer.loop.logits: answer}}
    return Prediction(
        manifest.model.name, manifest.model.weights, preparation.pipeline_name, options.seed, answers, frames[0]
    )


class TextStream:
    """One text on its way to its client, in events that a `TextEventForm` writes; it holds what the request holds."""

    def __init__(
        self,
        context: Context,
        deployment: TextDeployment,
        call: Call,
        image: ImageBytes,
        options: PredictOptions,
        events: TextEventForm,
    ) -> None:
        """Begin to write. Raises what a request may be refused with."""
        self._events = events
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._first: Event | None = None
        self._ended = False
        with contextlib.ExitStack() as stack:
            stack.enter_context(deployment)
            preparation = Preparation(deployment.model, options, context.settings.limits.megapixels)
            request = deployment.writer.request(options.prompt, options.max_tokens, options.beams)
            permit = deployment.admit(1, request, call.deadline)
            stack.callback(permit.release)
            way = _write(context, deployment, call, image, 0, preparation, request, options, self._queue.put_nowait)
            self._task = asyncio.ensure_future(way)
            self._task.add_done_callback(self._queue.put_nowait)
            self._held = stack.pop_all()

    async def begun(self) -> None:
        """Wait for the first token, or for the end. Raises what kept it from coming."""
        try:
            self._first = await self._queue.get()
            if isinstance(self._first, asyncio.Future):
                await self._first  # raises where it failed
        except BaseException as error:
            self.close(error)
            raise

    async def next(self) -> bytes | None:
        """Return the next event; None behind the last."""
        if self._ended:
            return None
        event = await self._queue.get() if self._first is None else self._first
        self._first = None
        if not isinstance(event, asyncio.Future):
            return self._events.more(event)
        self._ended = True
        error = event.exception()
        return self._events.failed(error) if error is not None else self._events.done(event.result())

    def close(self, error: BaseException | None) -> None:
        """Let go of the text and of all that was held for it."""
        self._task.cancel()
        self._task.add_done_callback(_retrieved)
        self._held.close()


def _retrieved(task: asyncio.Future[Any]) -> None:
    """Look at how a task ended, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()


class TextEventForm:
    """How the friendly route writes a text's events."""

    def __init__(self, pieces: WordPieces, prompt: int, answer: Callable[[Prediction], Any]) -> None:
        """`prompt` counts the tokens that were not chosen; `answer` makes the whole answer."""
        self._pieces, self._sent, self._answer = pieces, prompt, answer

    def more(self, tokens: Tokens) -> bytes:
        """Return the text so far, and the tokens that are new."""
        new, self._sent = tokens[self._sent :], len(tokens)
        return event_bytes({"text": self._pieces.text(tokens), "tokens": list(new)})

    def done(self, prediction: Prediction) -> bytes:
        """Return what the route answers without a stream."""
        return event_bytes(self._answer(prediction), "done")

    def failed(self, error: BaseException) -> bytes:
        """Return the error, as its body says it."""
        return event_bytes(public_body(error), "error")


def event_bytes(value: Any, name: str = "") -> bytes:
    """Return one server-sent event (HTML Standard, 9.2) of a JSON value."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"


async def stream_text(
    context: Context,
    deployment: TextDeployment,
    call: Call,
    images: Sequence[ImageBytes],
    options: PredictOptions,
    events: TextEventForm,
) -> Response:
    """Answer with the events of one text. Raises what keeps the first token from coming, BadRequest."""
    if len(images) != 1:
        raise BadRequest(f"the request streams {len(images)} images: send one, or leave stream out")
    stream = TextStream(context, deployment, call, images[0], options, events)
    await stream.begun()
    response = Response(200, b"", "text/event-stream; charset=utf-8", [("Cache-Control", "no-store")])
    response.pieces = stream
    return response
