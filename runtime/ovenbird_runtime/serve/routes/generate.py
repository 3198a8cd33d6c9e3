"""Triton's generate extension: a picture and a prompt in JSON in, text out, whole or token by token.

    POST /v2/models/git/generate            {"text_input": "", "image": "<base64>", "parameters": {"max_tokens": 20}}
    POST /v2/models/git/generate_stream     the same; each event's `text_output` is what comes next

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
Of a text that is streamed, a word comes once the next one begins: until then the clean-up of spaces may change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import shown
from ...generation.wordpiece import WordPieces
from ...options import PredictOptions
from ...postprocess.prediction import Prediction
from ..call import Call
from ..context import Context
from ..errors import MissingImage, NotOffered, public_body
from ..http.encoding import decompress
from ..http.errors import BadRequest
from ..http.messages import Request, Response, json_text
from ..models.text_deployment import TextDeployment
from ..settings import ServerLimits
from .forms import read_base64, read_option
from .texts import TextEventForm, Tokens, event_bytes, stream_text, write_texts

_FIELDS = ("id", "text_input", "image", "parameters")
OPTIONS = ("max_tokens", "beams", "preprocess", "seed")


class GenerateForm:
    """One request, read and checked."""

    def __init__(self, body: Any, streams: bool) -> None:
        """Read the JSON value. Raises BadRequest, MissingImage, WrongOption."""
        if not isinstance(body, Mapping):
            raise BadRequest('the JSON body must be an object, like {"text_input": "", "image": "<base64>"}')
        unknown = [name for name in body if name not in _FIELDS]
        if unknown:
            raise BadRequest(f"the request has an unknown field {shown(unknown[0])}; there are {', '.join(_FIELDS)}")
        self.id, prompt, image = body.get("id", ""), body.get("text_input", ""), body.get("image")
        if not isinstance(self.id, str) or not isinstance(prompt, str):
            raise BadRequest("id and text_input are texts")
        if isinstance(image, list) and len(image) == 1:
            image = image[0]
        if image is None:
            raise MissingImage('no image came with the request: "image" is the file in base64')
        self.image = read_base64(image, 0)
        parameters = body.get("parameters", {})
        if not isinstance(parameters, Mapping):
            raise BadRequest(f"parameters is {shown(parameters)}, expected an object")
        options: dict[str, Any] = {"prompt": prompt or None}
        for name, value in parameters.items():
            if name == "stream" and value is streams:
                continue
            if name not in OPTIONS:
                raise BadRequest(f"the parameter {shown(name)} is not known here; there are {', '.join(OPTIONS)}")
            options[name] = read_option(name, value)
        self.options = PredictOptions(**options)


async def generate(context: Context, request: Request, call: Call) -> Response:
    """Answer with a whole text."""
    with context.slots.find(*call.parameters) as found:
        call.answered_by(found)
        deployment = writes_text(found)
        form = await _form(context, request, streams=False)
        call.images, call.stage = 1, "decode"
        (prediction,) = await write_texts(context, deployment, call, [form.image], form.options)
        assert isinstance(prediction, Prediction)  # the only one's failure was raised
        call.count(context.metrics)
        return Response.json(_answer(deployment, form.id, prediction.text or ""))


async def generate_stream(context: Context, request: Request, call: Call) -> Response:
    """Answer with a text as it is written."""
    with context.slots.find(*call.parameters) as found:
        call.answered_by(found)
        deployment = writes_text(found)
        form = await _form(context, request, streams=True)
        call.images, call.stage = 1, "decode"
        events = DeltaForm(deployment, form.id)
        return await stream_text(context, deployment, call, [form.image], form.options, events)


def writes_text(deployment: Any) -> TextDeployment:
    """Return the deployment of a model that writes texts. Raises NotOffered for another."""
    if not isinstance(deployment, TextDeployment):
        raise NotOffered(f"{deployment.name} writes no text: POST /v1/models/{deployment.name}:predict, or .../infer")
    return deployment


async def _form(context: Context, request: Request, streams: bool) -> GenerateForm:
    limits = context.settings.limits
    form = await context.offload.run_by_size(len(request.body), _read, request, limits, streams)
    request.hold(len(form.image))
    return form


def _read(request: Request, limits: ServerLimits, streams: bool) -> GenerateForm:
    body = decompress(request.body, request.header("content-encoding"), limits.body_bytes)
    try:
        value = msgspec.json.decode(json_text(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error or 'nested too deeply'}") from None
    return GenerateForm(value, streams)


def _answer(deployment: TextDeployment, id_: str, text: str) -> dict[str, Any]:
    answer = {"model_name": deployment.name, "model_version": deployment.version, "text_output": text}
    return {"id": id_, **answer} if id_ else answer


class DeltaForm(TextEventForm):
    """Events whose texts, one after the other, are the whole."""

    def __init__(self, deployment: TextDeployment, id_: str) -> None:
        """Begin with nothing sent: a prompt is the begin of the text, streamed or not."""
        self.deployment, self.id, self._text = deployment, id_, ""
        self._words: WordPieces = deployment.writer.pieces

    def more(self, tokens: Tokens) -> bytes:
        """Return the words that are whole; an event without any says that tokens came."""
        text = self._words.text(tokens)
        return self._next(text[: max(text.rfind(" "), 0)], False)

    def done(self, prediction: Prediction) -> bytes:
        """Return the rest."""
        return self._next(prediction.text or "", True)

    def failed(self, error: BaseException) -> bytes:
        """Return the error, as Triton writes it."""
        return event_bytes(public_body(error))

    def event(self, new: str, last: bool) -> bytes:
        """Return the event that brings `new`, which may be empty."""
        return event_bytes(_answer(self.deployment, self.id, new))

    def _next(self, text: str, last: bool) -> bytes:
        new = text[len(self._text) :] if text.startswith(self._text) else ""
        self._text += new
        return self.event(new, last)
