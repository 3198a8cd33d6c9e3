"""`ModelStreamInfer`: requests over one call, each answered as it comes; texts as they are written.

    image BYTES [1], text_input BYTES [1] -> text_output BYTES [1], again and again: what comes next of the text

A picture's text comes in the messages of Triton's decoupled models: the last has the parameter
`triton_final_response`. Tensors are answered as by `ModelInfer`. What fails is a message with the error's text, and the
call goes on.
https://github.com/triton-inference-server/server/blob/main/docs/user_guide/decoupled_models.md
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from ...errors import shown
from ...options import PredictOptions
from ..call import Call
from ..context import Context
from ..errors import MissingImage, NotReady, public_text
from ..http.errors import BadRequest
from ..routes.forms import read_option
from ..routes.generate import OPTIONS, DeltaForm, writes_text
from ..routes.texts import TextStream
from ..v2.metadata import TEXT_OUTPUT
from ..v2.parameters import check_parameters
from .guard import Encoded
from .inference import Infer, infer_of, model_infer, plain_parameters
from .messages import message
from .rpc import parse

BYTES = "BYTES"
LENGTH_BYTES = 4
"""Before each text of raw contents: how long it is, little-endian."""


class TextAsk(NamedTuple):
    """A request for a text."""

    model: str
    version: str
    id: str
    image: bytes
    options: PredictOptions


async def model_stream_infer(
    context: Context, requests: AsyncIterator[Infer | TextAsk], call: Call
) -> AsyncIterator[Any]:
    """Answer the requests of a call, one after the other."""
    async for request in requests:
        call.allow(context.seconds_for(None), time.monotonic())
        try:
            if isinstance(request, TextAsk):
                async for event in _written(context, request, call):
                    yield event
            else:
                yield message("ModelStreamInferResponse")(infer_response=await model_infer(context, request, call))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's, and others may follow
            yield message("ModelStreamInferResponse")(error_message=public_text(error))


async def _written(context: Context, request: TextAsk, call: Call) -> AsyncIterator[bytes]:
    """Yield what comes of a text. Raises what keeps its first token from coming."""
    if not context.lifecycle.accepting:
        raise NotReady(f"the server is {context.lifecycle.state.value}", retry_after=1)
    with context.slots.find(request.model, request.version or None) as found:
        call.answered_by(found)
        deployment = writes_text(found)
        call.images, call.stage = 1, "decode"
        events = MessageForm(deployment, request.id)
        stream = TextStream(context, deployment, call, request.image, request.options, events)
        try:
            await stream.begun()
            while (event := await stream.next()) is not None:
                yield event
        finally:
            stream.close(None)
        call.count(context.metrics)


class MessageForm(DeltaForm):
    """Events as serialized messages."""

    def event(self, new: str, last: bool) -> bytes:
        """Return the message that brings `new`."""
        text = new.encode()
        response = message("ModelInferResponse")(
            model_name=self.deployment.name, model_version=self.deployment.version, id=self.id
        )
        response.outputs.add(name=TEXT_OUTPUT, datatype=BYTES, shape=[1])
        response.raw_output_contents.append(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        response.parameters["triton_final_response"].bool_param = last
        return _serialized(infer_response=response)

    def failed(self, error: BaseException) -> bytes:
        """Return the error's text."""
        return _serialized(error_message=public_text(error))


def _serialized(**fields: Any) -> bytes:
    data: bytes = message("ModelStreamInferResponse")(**fields).SerializeToString()
    return data


def read_stream_request(data: Encoded) -> Infer | TextAsk:
    """Read a request of tensors, or one for a text, whose inputs are BYTES.

    Raises BadRequest, MissingImage, InputError, UnsupportedContent.
    """
    request = parse(message("ModelInferRequest"), data)
    if all(tensor.datatype != BYTES for tensor in request.inputs):
        return infer_of(request)
    if len(request.raw_input_contents) != len(request.inputs):
        raise BadRequest("BYTES travel as raw contents here: one for each input")
    given: dict[str, bytes] = {}
    for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        if tensor.name not in ("image", "text_input") or tensor.name in given or tensor.datatype != BYTES:
            raise BadRequest(f"the input {shown(tensor.name)}: a text takes image and text_input, BYTES, once each")
        given[tensor.name] = _one_text(tensor.name, math.prod(tensor.shape), raw)
    if "image" not in given:
        raise MissingImage("no image came with the request: the input image is a file, BYTES [1]")
    parameters = plain_parameters(request.parameters)
    check_parameters(parameters, "the request")
    options = {name: read_option(name, value) for name, value in parameters.items() if name in OPTIONS}
    try:
        prompt = given.get("text_input", b"").decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("text_input is not UTF-8") from None
    asked = PredictOptions(prompt=prompt or None, **options)
    return TextAsk(request.model_name, request.model_version, request.id, given["image"], asked)


def _one_text(name: str, count: int, raw: bytes) -> bytes:
    size = int.from_bytes(raw[:LENGTH_BYTES], "little")
    if count != 1 or len(raw) != LENGTH_BYTES + size:
        raise BadRequest(f"the input {shown(name)} is to be one text: its length in 4 bytes, and so many bytes")
    return raw[LENGTH_BYTES:]
