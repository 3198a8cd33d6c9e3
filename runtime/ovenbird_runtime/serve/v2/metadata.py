"""The protocol's other routes: the server, its health, its models, and Triton's statistics of them.

GET /v2   GET /v2/health/{live,ready}   GET /v2/models/resnet50[/versions/1][/ready|/config|/stats]
"""

from __future__ import annotations

from typing import Any

from ... import __version__
from ...manifest import TensorSpec
from ..context import Call, Context
from ..deployment import Deployment
from ..http.messages import Request, Response
from ..metric_names import BATCH_IMAGES, COMPUTE, IMAGES_DONE, QUEUE
from .tensors import NAMES

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics"]


def server_metadata(context: Context, request: Request, call: Call) -> Response:
    """Say what this server is."""
    return Response.json({"name": "ovenbird", "version": __version__, "extensions": EXTENSIONS})


def live(context: Context, request: Request, call: Call) -> Response:
    """200 while the process can answer and no engine hangs."""
    alive = context.lifecycle.live
    return Response.json({"live": alive}, 200 if alive else 503)


def ready(context: Context, request: Request, call: Call) -> Response:
    """200 while every model answers requests."""
    state = context.lifecycle.state.value
    good = context.lifecycle.ready
    headers = [] if good else [("Retry-After", "1")]
    return Response.json({"ready": good, "state": state}, 200 if good else 503, headers)


def _described(context: Context, call: Call) -> Deployment:
    name, *version = call.parameters
    return context.slots.describe(name, version[0] if version else None)


def model_ready(context: Context, request: Request, call: Call) -> Response:
    """200 while one model answers requests."""
    good = _described(context, call).healthy and context.lifecycle.accepting
    return Response.json({"ready": good}, 200 if good else 503)


def model_metadata(context: Context, request: Request, call: Call) -> Response:
    """Describe a model's tensors."""
    return Response.json(metadata_of(_described(context, call)))


def metadata_of(deployment: Deployment) -> dict[str, Any]:
    """Describe a model's tensors; -1 stands for any batch."""
    model = deployment.model
    return {
        "name": deployment.name,
        "versions": [deployment.version],
        "platform": "ovenbird_tvm",
        "inputs": [_tensor(spec) for spec in model.inputs],
        "outputs": [_tensor(spec) for spec in model.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "datatype": NAMES[spec.dtype],
        "shape": [-1 if d == "N" else int(d) for d in spec.shape],
    }


def model_config(context: Context, request: Request, call: Call) -> Response:
    """Describe a model as Triton's clients expect it."""
    deployment = _described(context, call)
    model = deployment.model
    return Response.json(
        {
            "name": deployment.name,
            "platform": "ovenbird_tvm",
            "backend": "ovenbird",
            "max_batch_size": deployment.costs.largest if all(s.batched for s in model.inputs) else 0,
            "input": [_config(spec) for spec in model.inputs],
            "output": [_config(spec) for spec in model.outputs],
            "dynamic_batching": {
                "preferred_batch_size": sorted(deployment.costs.table),
                "max_queue_delay_microseconds": int(context.settings.batch_wait_ms * 1000),
            },
            "instance_group": [{"count": context.settings.workers, "kind": "KIND_CPU"}],
        }
    )


def _config(spec: TensorSpec) -> dict[str, Any]:
    dims = [int(d) for d in spec.shape if d != "N"]
    return {"name": spec.name, "data_type": f"TYPE_{NAMES[spec.dtype]}", "dims": dims}


def model_statistics(context: Context, request: Request, call: Call) -> Response:
    """Give counts and times of one model."""
    deployment = _described(context, call)
    name, metrics = deployment.name, context.metrics

    def took(kind: Any) -> dict[str, int]:
        return {"count": int(metrics.value(kind, name)), "ns": int(metrics.total(kind, name) * 1e9)}

    entry = {
        "name": name,
        "version": deployment.version,
        "inference_count": int(metrics.value(IMAGES_DONE, name)),
        "execution_count": int(metrics.value(BATCH_IMAGES, name)),
        "inference_stats": {"queue": took(QUEUE), "compute_infer": took(COMPUTE)},
        "batch_stats": [],
    }
    return Response.json({"model_stats": [entry]})
