"""`ModelInfer`: named tensors, raw or typed, in; tensors out as raw bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import shown
from ...limits import MAX_IO_TENSORS, MAX_TOP
from ...tensors.arrays import Array
from ..call import Call
from ..context import Context
from ..errors import NotReady
from ..http.errors import BadRequest, UnsupportedContent
from ..v2.inference import Wanted, choose_outputs, infer, packed
from ..v2.parameters import check_parameters, nan_policy
from ..v2.tensors import from_bytes, from_typed
from .guard import Encoded
from .messages import message
from .rpc import parse

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


class Infer(NamedTuple):
    """A request without its message: what was read of it takes less memory, and is checked."""

    model: str
    version: str
    id: str
    parameters: dict[str, Any]
    inputs: dict[str, Array]
    outputs: tuple[Wanted, ...]


async def model_infer(context: Context, request: Infer, call: Call) -> Any:
    """Answer an inference request. Raises NotReady, UnknownModel, and what the queue and the engine raise."""
    if not context.lifecycle.accepting:
        raise NotReady(f"the server is {context.lifecycle.state.value}", retry_after=1)
    with context.slots.find(request.model, request.version or None) as deployment:
        call.answered_by(deployment)
        nan = nan_policy(request.parameters, context.settings)
        wanted = choose_outputs(deployment, request.outputs, True)
        arrays = await infer(context, deployment, call, request.inputs, wanted, nan)
        response = message("ModelInferResponse")(
            model_name=deployment.name, model_version=deployment.version, id=request.id
        )
        for output in wanted:
            array = arrays[output.name]
            datatype, data = packed(array)
            response.outputs.add(name=output.name, datatype=datatype, shape=array.shape)
            response.raw_output_contents.append(data)
        return response


def read_request(data: Encoded) -> Infer:
    """Read a request; its message is gone when this returns. Raises BadRequest, InputError, UnsupportedContent."""
    return infer_of(parse(message("ModelInferRequest"), data))


def infer_of(request: Any) -> Infer:
    """Read a request's message. Raises BadRequest, InputError, UnsupportedContent."""
    parameters = plain_parameters(request.parameters)
    check_parameters(parameters, "the request")
    outputs = tuple(map(_wanted, request.outputs))
    return Infer(request.model_name, request.model_version, request.id, parameters, read_inputs(request), outputs)


def read_inputs(request: Any) -> dict[str, Array]:
    """Read the tensors: raw contents for all inputs, or typed contents in each. Raises BadRequest, InputError."""
    raw = request.raw_input_contents
    if len(request.inputs) > MAX_IO_TENSORS:
        raise BadRequest(f"the request has {len(request.inputs)} inputs, limit {MAX_IO_TENSORS}")
    if raw and len(raw) != len(request.inputs):
        raise BadRequest(f"the request has {len(request.inputs)} inputs and {len(raw)} raw contents")
    inputs: dict[str, Array] = {}
    for place, tensor in enumerate(request.inputs):
        name = tensor.name
        if name in inputs:
            raise BadRequest(f"the input {shown(name)} is given twice")
        check_parameters(plain_parameters(tensor.parameters), f"the input {shown(name)}")
        shape = list(tensor.shape)
        filled = [field.name for field, _ in tensor.contents.ListFields()] if tensor.HasField("contents") else []
        if raw:
            if filled:
                raise BadRequest(f"the input {shown(name)} has contents and raw contents: send one of them")
            inputs[name] = from_bytes(tensor.datatype, shape, raw[place], name)
            continue
        kind = _CONTENTS.get(tensor.datatype)
        if kind is None:
            raise UnsupportedContent(f"{shown(tensor.datatype)} travels as raw contents only")
        if filled not in ([], [kind]):
            raise BadRequest(f"the input {shown(name)} is {tensor.datatype} and has {', '.join(filled)}: use {kind}")
        inputs[name] = from_typed(tensor.datatype, shape, getattr(tensor.contents, kind), name)
    return inputs


def plain_parameters(parameters: Any) -> dict[str, Any]:
    """Return parameters as plain values; None for one without a value."""
    found = {}
    for name, value in parameters.items():
        kind = value.WhichOneof("parameter_choice")
        found[name] = getattr(value, kind) if kind else None
    return found


def _wanted(output: Any) -> Wanted:
    parameters = plain_parameters(output.parameters)
    check_parameters(parameters, f"the output {shown(output.name)}")
    classes = parameters.get("classification", 0)
    if not isinstance(classes, int) or isinstance(classes, bool) or not 0 <= classes <= MAX_TOP:
        raise BadRequest(f"classification is {shown(classes)}, expected 1 to {MAX_TOP}")
    return Wanted(output.name, True, classes)
