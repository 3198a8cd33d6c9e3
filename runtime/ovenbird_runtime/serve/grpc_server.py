"""The Open Inference Protocol over gRPC (extra `[grpc]`): the same models, permits, batches and deadlines.

server = await start_grpc(context, "127.0.0.1", 8001)
await server.stop(grace=5)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import OvenbirdError, one_line, shown
from ..limits import MAX_IO_TENSORS
from .context import Call, Context
from .errors import BadRequest, NotReady, StartFailed, UnsupportedContent, status_of
from .grpc_messages import METHODS, SERVICE, load_messages
from .metric_names import CANCELLED, MODEL_REQUESTS, MODEL_SECONDS, REJECTED, REQUEST_SECONDS, REQUESTS
from .v2.inference import Wanted, choose_outputs, infer, packed
from .v2.metadata import EXTENSIONS, metadata_of
from .v2.tensors import from_bytes, from_typed

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Work = Callable[[Context, Any, Call], Awaitable[Any]]
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


async def start_grpc(context: Context, host: str, port: int) -> tuple[Any, int]:
    """Listen; give the server and its port. Raises StartFailed, also where grpcio is not installed."""
    try:
        import grpc
    except ModuleNotFoundError:
        raise StartFailed("--grpc-port needs grpcio: pip install 'ovenbird-runtime[grpc]'") from None
    limits = context.settings.limits
    server = grpc.aio.server(
        maximum_concurrent_rpcs=limits.connections,
        options=[
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_metadata_size", limits.header_bytes),
            ("grpc.max_connection_idle_ms", 300_000),
            ("grpc.so_reuseport", 0),
        ],
    )
    messages = load_messages()
    handlers = {}
    for name in METHODS:
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            _handler(grpc, context, name),
            request_deserializer=messages[f"{name}Request"].FromString,
            response_serializer=messages[f"{name}Response"].SerializeToString,
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        raise StartFailed(f"cannot listen on {host} port {port} for gRPC") from None
    await server.start()
    return server, int(bound)


def _handler(grpc: Any, context: Context, name: str) -> Any:
    work = _WORK[name]
    codes = grpc.StatusCode

    async def answer(request: Any, rpc: Any) -> Any:
        start, route = time.monotonic(), f"grpc.{name}"
        left = rpc.time_remaining()
        limits = context.settings.limits
        seconds = limits.timeout_ms / 1000 if left is None else min(left, limits.max_timeout_ms / 1000)
        call = Call(deadline=start + seconds)
        status, error = "OK", None
        try:
            return await work(context, request, call)
        except asyncio.CancelledError:
            status = "CANCELLED"
            context.metrics.add(CANCELLED, 1, call.stage)
            raise
        except Exception as problem:  # noqa: BLE001 - as over HTTP: every error has a status
            error, status = problem, status_of(problem).grpc
            known = isinstance(problem, OvenbirdError)
            text = str(problem) if known else "the server failed; its log says how"
            context.metrics.add(REJECTED, 1, type(problem).__name__ if known else "ServerError")
            if not known:
                context.log.write("failure", "error", type=type(problem).__name__, error=one_line(str(problem)))
            await rpc.abort(getattr(codes, status), text)
        finally:
            spent = time.monotonic() - start
            context.metrics.add(REQUESTS, 1, route, status)
            context.metrics.observe(REQUEST_SECONDS, spent, route)
            if call.model:
                context.metrics.add(MODEL_REQUESTS, 1, call.model, "success" if status == "OK" else "failure")
                context.metrics.observe(MODEL_SECONDS, spent, call.model)
            if context.settings.access_log and name == "ModelInfer":
                failed = {"error": type(error).__name__} if error is not None else {}
                context.log.write(
                    "grpc", method=name, status=status, ms=round(spent * 1000, 2), model=call.model, **failed
                )

    return answer


async def _server_live(context: Context, request: Any, call: Call) -> Any:
    return load_messages()["ServerLiveResponse"](live=context.lifecycle.live)


async def _server_ready(context: Context, request: Any, call: Call) -> Any:
    return load_messages()["ServerReadyResponse"](ready=context.lifecycle.ready)


async def _model_ready(context: Context, request: Any, call: Call) -> Any:
    deployment = context.slots.describe(request.name, request.version or None)
    ready = deployment.healthy and context.lifecycle.accepting
    return load_messages()["ModelReadyResponse"](ready=ready)


async def _server_metadata(context: Context, request: Any, call: Call) -> Any:
    return load_messages()["ServerMetadataResponse"](name="ovenbird", version=__version__, extensions=EXTENSIONS)


async def _model_metadata(context: Context, request: Any, call: Call) -> Any:
    return load_messages()["ModelMetadataResponse"](
        **metadata_of(context.slots.describe(request.name, request.version or None))
    )


async def _model_infer(context: Context, request: Any, call: Call) -> Any:
    if not context.lifecycle.accepting:
        raise NotReady(f"the server is {context.lifecycle.state.value}", retry_after=1)
    with context.slots.find(request.model_name, request.model_version or None) as deployment:
        call.model = deployment.name
        start = time.monotonic()
        # Numbers one by one take their time; raw bytes are only looked at.
        raw = request.raw_input_contents
        inputs = _inputs(request) if raw else await context.preparation.run(_inputs, request)
        wanted = choose_outputs(deployment, tuple(map(_wanted, request.outputs)), True)
        call.spent("decode", time.monotonic() - start)
        arrays = await infer(context, deployment, call, inputs, wanted)
        response = load_messages()["ModelInferResponse"](
            model_name=deployment.name, model_version=deployment.version, id=request.id
        )
        for output in wanted:
            array = arrays[output.name]
            datatype, data = packed(array)
            response.outputs.add(name=output.name, datatype=datatype, shape=array.shape)
            response.raw_output_contents.append(data)
        return response


def _inputs(request: Any) -> dict[str, Array]:
    """Read the tensors: raw contents for all inputs, or typed contents in each."""
    raw = request.raw_input_contents
    if len(request.inputs) > MAX_IO_TENSORS:
        raise BadRequest(f"the request has {len(request.inputs)} inputs, limit {MAX_IO_TENSORS}")
    if raw and len(raw) != len(request.inputs):
        raise BadRequest(f"the request has {len(request.inputs)} inputs and {len(raw)} raw contents")
    inputs: dict[str, Array] = {}
    for place, tensor in enumerate(request.inputs):
        if tensor.name in inputs:
            raise BadRequest(f"the input {shown(tensor.name)} is given twice")
        shape = list(tensor.shape)
        if raw:
            inputs[tensor.name] = from_bytes(tensor.datatype, shape, raw[place], tensor.name)
        else:
            kind = _CONTENTS.get(tensor.datatype)
            if kind is None:
                raise UnsupportedContent(f"{shown(tensor.datatype)} travels as raw contents only")
            inputs[tensor.name] = from_typed(tensor.datatype, shape, getattr(tensor.contents, kind), tensor.name)
    return inputs


def _wanted(output: Any) -> Wanted:
    return Wanted(output.name, True, max(0, output.parameters["classification"].int64_param))


_WORK: dict[str, Work] = {
    "ServerLive": _server_live,
    "ServerReady": _server_ready,
    "ModelReady": _model_ready,
    "ServerMetadata": _server_metadata,
    "ModelMetadata": _model_metadata,
    "ModelInfer": _model_infer,
}
