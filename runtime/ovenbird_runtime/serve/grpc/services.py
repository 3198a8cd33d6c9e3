"""Every method that is served over gRPC, by its path, and the Open Inference Protocol's own, but for inference.

methods()["/inference.GRPCInferenceService/ServerLive"].work
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ... import __version__
from ..call import Call
from ..context import Context
from ..errors import NotOffered
from ..v2.metadata import CONTROL, EXTENSIONS, config_of, index_of, metadata_of, statistics_of
from .guard import Encoded, weigh
from .health import HEALTH
from .inference import model_infer, read_request
from .messages import load_protocol, message
from .reflection import REFLECTION
from .rpc import Method, parse
from .texts import model_stream_infer, read_stream_request

Work = Callable[..., Any]


async def _server_live(context: Context, request: Any, call: Call) -> Any:
    return message("ServerLiveResponse")(live=context.lifecycle.live)


async def _server_ready(context: Context, request: Any, call: Call) -> Any:
    return message("ServerReadyResponse")(ready=context.lifecycle.ready)


async def _model_ready(context: Context, request: Any, call: Call) -> Any:
    ready = context.slots.describe(request.name, request.version or None).healthy and context.lifecycle.accepting
    return message("ModelReadyResponse")(ready=ready)


async def _server_metadata(context: Context, request: Any, call: Call) -> Any:
    return message("ServerMetadataResponse")(name="ovenbird", version=__version__, extensions=EXTENSIONS)


async def _model_metadata(context: Context, request: Any, call: Call) -> Any:
    deployment = context.slots.describe(request.name, request.version or None)
    return message("ModelMetadataResponse")(**metadata_of(deployment))


async def _model_config(context: Context, request: Any, call: Call) -> Any:
    deployment = context.slots.describe(request.name, request.version or None)
    return message("ModelConfigResponse")(config=config_of(context, deployment))


async def _model_statistics(context: Context, request: Any, call: Call) -> Any:
    slots = context.slots
    found = [slots.describe(request.name, request.version or None)] if request.name else slots.deployments
    return message("ModelStatisticsResponse")(model_stats=[statistics_of(deployment) for deployment in found])


async def _repository_index(context: Context, request: Any, call: Call) -> Any:
    return message("RepositoryIndexResponse")(models=index_of(context, request.ready))


async def _refuse_control(context: Context, request: Any, call: Call) -> Any:
    raise NotOffered(CONTROL)


INFERENCE: dict[str, Work] = {
    "ServerLive": _server_live,
    "ServerReady": _server_ready,
    "ModelReady": _model_ready,
    "ServerMetadata": _server_metadata,
    "ModelMetadata": _model_metadata,
    "ModelInfer": model_infer,
    "ModelStreamInfer": model_stream_infer,
    "ModelConfig": _model_config,
    "ModelStatistics": _model_statistics,
    "RepositoryIndex": _repository_index,
    "RepositoryModelLoad": _refuse_control,
    "RepositoryModelUnload": _refuse_control,
}
_WORK: dict[str, dict[str, Work]] = {
    "inference.GRPCInferenceService": INFERENCE,
    "grpc.health.v1.Health": HEALTH,
    "grpc.reflection.v1.ServerReflection": REFLECTION,
    "grpc.reflection.v1alpha.ServerReflection": REFLECTION,
}


_READERS: dict[str, tuple[Work, Callable[[Encoded, int], int]]] = {
    "ModelInfer": (read_request, weigh),
    "ModelStreamInfer": (read_stream_request, weigh),
}
"""Of requests that are large: what reads them, and says before how much work that is."""


def methods() -> dict[str, Method]:
    """Return what answers each path: every method that the descriptors declare. Raises ModuleNotFoundError."""
    protocol = load_protocol()
    found = {}
    for service in protocol.services:
        for method in protocol.methods(service):
            work = _WORK[service][method.name]
            kind = protocol.message(method.input_type.full_name)
            read, weigher = _READERS.get(method.name, (partial(parse, kind), _all_of_it))
            streaming = method.client_streaming or method.server_streaming
            found[f"/{service}/{method.name}"] = Method(method.name, work, read, weigher, streaming)
    return found


def _all_of_it(data: Encoded, limit: int) -> int:
    return len(data)
