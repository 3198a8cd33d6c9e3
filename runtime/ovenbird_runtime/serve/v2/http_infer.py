"""`POST /v2/models/{model}/infer`: the protocol's JSON, with tensors in it or as raw bytes behind it.

With the header `Inference-Header-Content-Length: n` the first n bytes of the body are JSON; the tensors whose
parameters say `binary_data_size` follow in order. Triton's binary_tensor_data extension.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import shown
from ...limits import MAX_IO_TENSORS, MAX_TOP
from ...manifest import TensorSpec
from ..context import Call, Context
from ..deployment import Deployment
from ..errors import BadRequest, UnsupportedContent
from ..http.body import Bytes
from ..http.encoding import decompress
from ..http.messages import Request, Response, json_text
from .inference import InferRequest, Wanted, choose_outputs, infer, packed
from .parameters import check_parameters, nan_policy
from .tensors import NAMES, dtype_of, from_bytes, from_json, to_json

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LENGTH = "inference-header-content-length"


async def infer_http(context: Context, request: Request, call: Call) -> Response:
    """Answer an inference request."""
    name, *version = call.parameters
    with context.slots.find(name, version[0] if version else None) as deployment:
        call.answers(deployment)
        start = time.monotonic()
        limit, specs = context.settings.limits.body_bytes, deployment.model.inputs
        if request.header("content-encoding"):  # who knows how large it is
            wanted, binary = await context.preparation.run(read_request, request, limit, specs)
        else:
            size = 0 if _LENGTH in request.headers else len(request.body)  # raw tensors are only looked at
            wanted, binary = await context.preparation.run_by_size(size, read_request, request, limit, specs)
        call.spent("decode", time.monotonic() - start)
        outputs = choose_outputs(deployment, wanted.outputs, binary)
        nan = nan_policy(wanted.parameters, context.settings)
        arrays = await infer(context, deployment, call, wanted.inputs, outputs, nan)
        call.stage = "postprocess"
        size = sum(array.nbytes for array in arrays.values())
        return await context.preparation.run_by_size(size, write_response, deployment, wanted.id, outputs, arrays)


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
        value = msgspec.json.decode(json_text(head))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {error or 'nested too deeply'}") from None
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), list):
        raise BadRequest('the request must be an object with a list "inputs"')
    parameters = _object(value.get("parameters"), "parameters")
    check_parameters(parameters, "the request")
    binary = _flag(parameters, "binary_data_output", False)
    inputs: dict[str, Array] = {}
    offset = 0
    if len(value["inputs"]) > MAX_IO_TENSORS:
        raise BadRequest(f"the request has {len(value['inputs'])} inputs, limit {MAX_IO_TENSORS}")
    for item in value["inputs"]:
        name, array, offset = _input(item, tail, offset)
        if name in inputs:
            raise BadRequest(f"the input {shown(name)} is given twice")
        inputs[name] = array
    if offset != len(tail):
        raise BadRequest(f"the body has {len(tail)} bytes of tensors, the inputs name {offset} of them")
    return InferRequest(_id(value.get("id")), inputs, _outputs(value.get("outputs"), binary), parameters), binary


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
    row = math.prod(int(d) for d in spec.shape if d != "N") * dtype_of(NAMES[spec.dtype], spec.name).itemsize
    shape = [len(data) // row if d == "N" else int(d) for d in spec.shape]
    return from_bytes(NAMES[spec.dtype], shape, data, spec.name)


def _input(item: Any, tail: memoryview, offset: int) -> tuple[str, Array, int]:
    item = _object(item, "an input")
    name = item.get("name")
    if not isinstance(name, str):
        raise BadRequest(f"an input's name is {shown(name)}, expected a text")
    parameters = _object(item.get("parameters"), f"the parameters of {shown(name)}")
    check_parameters(parameters, f"the input {shown(name)}")
    size = parameters.get("binary_data_size")
    if size is None:
        if "data" not in item:
            raise BadRequest(f"the input {shown(name)} has neither data nor binary_data_size")
        return name, from_json(item.get("datatype"), item.get("shape"), item["data"], name), offset
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(tail) - offset:
        raise BadRequest(f"the input {shown(name)} names {shown(size)} bytes, the body has {len(tail) - offset} left")
    if item.get("data") is not None:
        raise BadRequest(f"the input {shown(name)} has data and binary_data_size: send one of them")
    data = tail[offset : offset + size]
    return name, from_bytes(item.get("datatype"), item.get("shape"), data, name), offset + size


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
    """Give the response: JSON, and behind it the tensors that go as raw bytes."""
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
