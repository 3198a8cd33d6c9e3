"""The protocol's other routes: the server, its health, its models, and Triton's statistics of them.

GET /v2   GET /v2/health/{live,ready}   GET /v2/models/resnet50[/versions/1][/ready|/config|/stats]
GET /v2/models/stats   POST /v2/repository/index
"""

from __future__ import annotations

from typing import Any

import msgspec

from ... import __version__
from ...errors import shown
from ...manifest.manifest import TensorSpec
from ..call import Call
from ..context import Context
from ..errors import NotOffered
from ..http.errors import BadRequest
from ..http.messages import Request, Response
from ..models.deployment import Deployment
from ..models.text_deployment import TextDeployment
from .tensors import NAMES

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics"]
GENERATE = "generate"
"""The extension of servers with a model that writes texts, over HTTP."""
TEXT_OUTPUT = "text_output"
"""Triton's name for it."""
CONTROL = "models are loaded and unloaded by who runs the server: replace the artifact (--watch, or SIGHUP)"


def server_metadata(context: Context, request: Request, call: Call) -> Response:
    """Return what this server is."""
    writes = any(isinstance(one, TextDeployment) for one in context.slots.deployments)
    extensions = [*EXTENSIONS, *([GENERATE] if writes else [])]
    return Response.json({"name": "ovenbird", "version": __version__, "extensions": extensions})


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
    """Describe a model's tensors; -1 stands for any batch, and for what follows the image size."""
    manifest = deployment.model.manifest
    text = {"name": TEXT_OUTPUT, "datatype": "BYTES", "shape": [-1]}
    outputs = manifest.outputs if manifest.loop is None else ()
    return {
        "name": deployment.name,
        "versions": [deployment.version],
        "platform": "ovenbird_tvm",
        "inputs": [_tensor(spec) for spec in manifest.picture_program.inputs],
        "outputs": [_tensor(spec) for spec in outputs] or [text],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "datatype": NAMES[spec.dtype],
        "shape": [-1 if isinstance(d, str) else int(d) for d in spec.shape],
    }


def model_config(context: Context, request: Request, call: Call) -> Response:
    """Describe a model as Triton's clients expect it."""
    return Response.json(config_of(context, _described(context, call)))


def config_of(context: Context, deployment: Deployment) -> dict[str, Any]:
    """Describe a model as Triton's configuration does."""
    model = deployment.model
    inputs, outputs = model.manifest.picture_program.inputs, () if model.manifest.loop else model.outputs
    text = {"name": TEXT_OUTPUT, "data_type": "TYPE_STRING", "dims": [1]}
    return {
        "name": deployment.name,
        "platform": "ovenbird_tvm",
        "backend": "ovenbird",
        "max_batch_size": deployment.usual_costs.largest if _batched(deployment) else 0,
        "input": [_config(spec, _batched(deployment)) for spec in inputs],
        "output": [_config(spec, _batched(deployment)) for spec in outputs] or [text],
        "dynamic_batching": {
            "preferred_batch_size": sorted(deployment.usual_costs.table),
            "max_queue_delay_microseconds": int(context.settings.batch_wait_ms * 1000),
        },
        "instance_group": [
            {
                "name": deployment.name,
                "count": context.settings.workers,
                "kind": "KIND_CPU" if model.device == "cpu" else "KIND_GPU",
            }
        ],
    }


def _batched(deployment: Deployment) -> bool:
    """Return whether every tensor begins with the batch, which Triton's configuration then leaves out of its shape."""
    manifest = deployment.model.manifest
    outputs = manifest.outputs if manifest.loop is None else ()
    return all(spec.batched for spec in (*manifest.picture_program.inputs, *outputs))


def _config(spec: TensorSpec, batched: bool) -> dict[str, Any]:
    dims = [-1 if isinstance(d, str) else int(d) for d in (spec.shape[1:] if batched else spec.shape)]
    return {"name": spec.name, "data_type": f"TYPE_{NAMES[spec.dtype]}", "dims": dims}


def model_statistics(context: Context, request: Request, call: Call) -> Response:
    """Return counts and times of one model, or of all."""
    found = [_described(context, call)] if call.parameters else context.slots.deployments
    return Response.json({"model_stats": [statistics_of(deployment) for deployment in found]})


def statistics_of(deployment: Deployment) -> dict[str, Any]:
    """Return counts and times of a model."""
    return {"name": deployment.name, "version": deployment.version} | deployment.statistics.to_json()


def repository_index(context: Context, request: Request, call: Call) -> Response:
    """List the models that are served, ready or not; `{"ready": true}` asks for those that are."""
    try:
        value = msgspec.json.decode(request.body) if request.body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {error or 'nested too deeply'}") from None
    wanted = value.get("ready", False) if isinstance(value, dict) else None
    if not isinstance(wanted, bool):
        raise BadRequest(f'the request is {shown(value)}, expected {{"ready": true}}, false, or nothing')
    return Response.json(index_of(context, wanted))


def index_of(context: Context, ready_only: bool) -> list[dict[str, str]]:
    """List the models that are served, with their state in Triton's words."""
    found = []
    for deployment in context.slots.deployments:
        good = deployment.healthy and context.lifecycle.accepting
        reason = "" if good else "its engine fails or hangs" if not deployment.healthy else "the server is starting"
        state = "READY" if good else "UNAVAILABLE"
        found.append({"name": deployment.name, "version": deployment.version, "state": state, "reason": reason})
    return [entry for entry in found if entry["state"] == "READY" or not ready_only]


def refuse_control(context: Context, request: Request, call: Call) -> Response:
    """Refuse to load or unload a model. Raises NotOffered."""
    raise NotOffered(CONTROL)
