"""`POST /v2/models/{model}/infer`: the protocol's JSON, with tensors in it or as raw bytes behind it.

With the header `Inference-Header-Content-Length: n` the first n bytes of the body are JSON; the tensors whose
parameters say `binary_data_size` follow in order. Triton's binary_tensor_data extension.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...engine.inputs import check_dims
from ...errors import shown
from ...limits import MAX_IO_TENSORS, MAX_TOP, SERVE_JSON_FIELD_BYTES
from ...manifest.manifest import TensorSpec
from ...manifest.program import OPEN
from ...tensors.arrays import Array
from ..call import Call
from ..context import Context
from ..http.body import Bytes
from ..http.encoding import decompress
from ..http.errors import BadRequest, UnsupportedContent
from ..http.messages import Request, Response, json_text
from ..models.deployment import Deployment
from .inference import InferRequest, Wanted, check_takes_tensors, choose_outputs, infer, packed
from .parameters import check_parameters, nan_policy
from .tensors import NAMES, check_shape, dtype_of, from_bytes, from_json, to_json

_LENGTH = "inference-header-content-length"


class _Input(msgspec.Struct):
    """An input, its parts not unpacked yet: as Python's objects 10 MB of JSON can take 300."""

    name: str
    datatype: msgspec.Raw = msgspec.Raw()
    shape: msgspec.Raw = msgspec.Raw()
    parameters: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Head(msgspec.Struct):
    """A request; fields that are not known are passed over."""

    inputs: list[_Input]
    outputs: msgspec.Raw = msgspec.Raw()
    parameters: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()


_HEAD = msgspec.json.Decoder(_Head)


async def infer_http(context: Context, request: Request, call: Call) -> Response:
    """Answer an inference request."""
    name, *version = call.parameters
    with context.slots.find(name, version[0] if version else None) as deployment:
        call.answered_by(deployment)
        check_takes_tensors(deployment)
        start = time.monotonic()
        limit, specs = context.settings.limits.body_bytes, deployment.model.inputs
        if request.header("content-encoding"):  # who knows how large it is
            wanted, binary = await context.offload.run(read_request, request, limit, specs)
        else:
            size = 0 if _LENGTH in request.headers else len(request.body)  # raw tensors are only looked at
            wanted, binary = await context.offload.run_by_size(size, read_request, request, limit, specs)
        if _LENGTH not in request.headers or request.header("content-encoding"):  # else they are views of the body
            request.hold(sum(array.nbytes for array in wanted.inputs.values()))
        call.spent("decode", time.monotonic() - start)
        outputs = choose_outputs(deployment, wanted.outputs, binary)
        nan = nan_policy(wanted.parameters, context.settings)
        arrays = await infer(context, deployment, call, wanted.inputs, outputs, nan)
        call.stage = "postprocess"
        size = sum(array.nbytes for array in arrays.values())
        return await context.offload.run_by_size(size, write_response, deployment, wanted.id, outputs, arrays)


def read_request(request: Request, limit: int, specs: Sequence[TensorSpec]) -> tuple[InferRequest, bool]:
    """Read a request; the flag says whether outputs that are not named are wanted as raw bytes.

    Without JSON (its length is 0) the body is the network's one input.

    Raises BadRequest, InputError, UnsupportedContent, BodyTooLarge.
    """
    body = decompress(request.body, request.header("content-encoding"), limit)
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind not in ("", "application/json", "application/octet-stream", "application/x-www-form-urlencoded"):
        raise UnsupportedContent(f"content type {shown(kind)} is not read here: use application/json")
    head, tail = _split(body, request.header(_LENGTH))
    if request.header(_LENGTH) and not head:
        return InferRequest("", {specs[0].name: _raw_input(specs, tail)}, (), {}), True
    try:
        value = _HEAD.decode(json_text(head))
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request is not as the protocol has it: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {error or 'nested too deeply'}") from None
    parameters = _object(_small(value.parameters, "parameters"), "parameters")
    check_parameters(parameters, "the request")
    binary = _flag(parameters, "binary_data_output", False)
    inputs: dict[str, Array] = {}
    offset = 0
    if len(value.inputs) > MAX_IO_TENSORS:
        raise BadRequest(f"the request has {len(value.inputs)} inputs, limit {MAX_IO_TENSORS}")
    by_name = {spec.name: spec for spec in specs}
    for item in value.inputs:
        if item.name in inputs:
            raise BadRequest(f"the input {shown(item.name)} is given twice")
        inputs[item.name], offset = _input(item, by_name.get(item.name), tail, offset)
    if offset != len(tail):
        raise BadRequest(f"the body has {len(tail)} bytes of tensors, the inputs name {offset} of them")
    outputs = _outputs(_small(value.outputs, "outputs"), binary)
    return InferRequest(_id(_small(value.id, "id")), inputs, outputs, parameters), binary


def _small(raw: msgspec.Raw, what: str) -> Any:
    """Read a part of the JSON that is never large; None where it was not sent. Raises BadRequest."""
    text = memoryview(raw)
    if len(text) > SERVE_JSON_FIELD_BYTES:
        raise BadRequest(f"{what} has {len(text)} bytes, limit {SERVE_JSON_FIELD_BYTES}")
    try:
        return msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{what} is not JSON: {error or 'nested too deeply'}") from None


def _split(body: Bytes, length: str) -> tuple[memoryview, memoryview]:
    whole = memoryview(body)
    if not length:
        return whole, whole[:0]
    if not (length.isascii() and length.isdigit() and len(length) < 12) or int(length) > len(body):
        raise BadRequest(f"Inference-Header-Content-Length is {shown(length)}, the body has {len(body)} bytes")
    return whole[: int(length)], whole[int(length) :]


def _raw_input(specs: Sequence[TensorSpec], data: memoryview) -> Array:
    """View a body that is nothing but a tensor; its length gives the batch. Raises BadRequest, WrongShape."""
    spec = specs[0]
    if len(specs) != 1:
        raise BadRequest(f"the body has no JSON, and the network has {len(specs)} inputs: name them in JSON")
    if OPEN & set(spec.shape):
        raise BadRequest(f"the body has no JSON, and {spec.name} takes several image sizes: give its shape in JSON")
    row = math.prod(int(d) for d in spec.shape if d != "N") * dtype_of(NAMES[spec.dtype], spec.name).itemsize
    shape = [len(data) // row if d == "N" else int(d) for d in spec.shape]
    return from_bytes(NAMES[spec.dtype], shape, data, spec.name)


def _input(item: _Input, spec: TensorSpec | None, tail: memoryview, offset: int) -> tuple[Array, int]:
    """Read one tensor; `spec` is the network's input of its name, whose shape is looked at before JSON is unpacked."""
    name = item.name
    parameters = _object(_small(item.parameters, "parameters"), f"the parameters of {shown(name)}")
    check_parameters(parameters, f"the input {shown(name)}")
    datatype, shape = _small(item.datatype, "datatype"), _small(item.shape, "shape")
    size, data = parameters.get("binary_data_size"), memoryview(item.data)
    if size is None:
        if not data:
            raise BadRequest(f"the input {shown(name)} has neither data nor binary_data_size")
        dims = check_shape(shape, name)
        if spec is not None:
            check_dims(spec, dims)
        return from_json(datatype, dims, data, name), offset
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(tail) - offset:
        raise BadRequest(f"the input {shown(name)} names {shown(size)} bytes, the body has {len(tail) - offset} left")
    if data:
        raise BadRequest(f"the input {shown(name)} has data and binary_data_size: send one of them")
    return from_bytes(datatype, shape, tail[offset : offset + size], name), offset + size


def _outputs(value: Any, binary: bool) -> tuple[Wanted, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_IO_TENSORS:
        raise BadRequest(f'"outputs" is {shown(value)}, expected a list of objects with a name')
    found = []
    for item in value:
        item = _object(item, "an output")
        name, parameters = item.get("name"), _object(item.get("parameters"), "an output's parameters")
        if not isinstance(name, str):
            raise BadRequest(f"an output's name is {shown(name)}, expected a text")
        check_parameters(parameters, f"the output {shown(name)}")
        classes = parameters.get("classification", 0)
        if not isinstance(classes, int) or isinstance(classes, bool) or not 0 <= classes <= MAX_TOP:
            raise BadRequest(f"classification is {shown(classes)}, expected 1 to {MAX_TOP}")
        found.append(Wanted(name, _flag(parameters, "binary_data", binary), classes))
    return tuple(found)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is {shown(value)}, expected an object")
    return value


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} is {shown(value)}, expected true or false")
    return value


def _id(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"id is {shown(value)}, expected a text")
    return value


def write_response(
    deployment: Deployment, identity: str, wanted: tuple[Wanted, ...], arrays: Mapping[str, Array]
) -> Response:
    """Return the response: JSON, and behind it the tensors that go as raw bytes."""
    blobs: list[bytes] = []
    outputs = []
    for output in wanted:
        array = arrays[output.name]
        item: dict[str, Any] = {"name": output.name, "shape": list(array.shape)}
        if output.binary:
            item["datatype"], blob = packed(array)
            item["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        elif array.dtype == object:
            item |= {"datatype": "BYTES", "data": [text.decode("utf-8") for text in array.reshape(-1)]}
        else:
            item |= {"datatype": NAMES[str(array.dtype)], "data": to_json(array)}
        outputs.append(item)
    value: dict[str, Any] = {"model_name": deployment.name, "model_version": deployment.version, "outputs": outputs}
    if identity:
        value["id"] = identity
    if not blobs:
        return Response.json(value)
    head = msgspec.json.encode(value)
    headers = [("Inference-Header-Content-Length", str(len(head)))]
    return Response(200, b"".join([head, *blobs]), "application/octet-stream", headers)
