"""The routes for people and machines that look: the page, the status, the metrics, the models.

GET /    GET /status    GET /metrics    GET /v1/models
"""

from __future__ import annotations

import dataclasses
import time
from functools import cache
from pathlib import Path
from typing import Any

from ... import __version__
from ...machine.versions import TVM_VERSION
from ...manifest.manifest import Manifest
from ...manifest.program import size_text
from ..call import Call
from ..context import Context
from ..http.messages import Request, Response
from ..models.batching import Costs
from ..telemetry.metric_names import BUFFERED, CONNECTIONS, INFO, LOG_DROPPED
from ..telemetry.triton_metrics import triton_lines

# The page holds its own style and script and may load nothing else; nobody may frame it.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
)


@cache
def _page() -> bytes:
    return (Path(__file__).parent / "page.html").read_bytes()


def page(context: Context, request: Request, call: Call) -> Response:
    """Return the page."""
    return Response(200, _page(), "text/html; charset=utf-8", _SAFE)


def status(context: Context, request: Request, call: Call) -> Response:
    """Return how the server is."""
    lifecycle, settings = context.lifecycle, context.settings
    return Response.json(
        {
            "server": "ovenbird",
            "version": __version__,
            "state": lifecycle.state.value,
            "ready": lifecycle.ready,
            "live": lifecycle.live,
            "uptime_s": round(time.time() - lifecycle.started, 1),
            "connections": context.account.connections,
            "workers": settings.workers,
            "models": [_model(d) for d in context.slots.deployments],
            "limits": dataclasses.asdict(settings.limits)
            | {"queue_images": settings.queue_images, "timeout_ms": round(context.seconds_for(None) * 1000)},
        }
    )


def _cost_table(costs: Costs) -> dict[str, float]:
    return {str(batch): round(cost, 3) for batch, cost in sorted(costs.table.items())}


def _model(deployment: Any) -> dict[str, Any]:
    by_size = {size_text(size): _cost_table(costs) for size, costs in deployment.costs.items()}
    return {
        "name": deployment.name,
        "version": deployment.version,
        "healthy": deployment.healthy,
        "target": deployment.model.target.target,
        "threads": deployment.model.threads,
        "random_weights": deployment.model.manifest.model.weights.random,
        "batch_cost_ms": _cost_table(deployment.usual_costs),
        **({"batch_cost_ms_by_image_size": by_size} if len(by_size) > 1 else {}),
        "lanes": deployment.usual_costs.lanes.count,
        "lane_cost_ms": deployment.usual_costs.lanes.cost and round(deployment.usual_costs.lanes.cost, 3),
        "slowdown": round(deployment.slowdown, 3),
        "waiting_images": deployment.waiting,
        "admitted_images": deployment.admission.rows,
    }


def models(context: Context, request: Request, call: Call) -> Response:
    """List the models for the friendly route."""
    found = []
    for deployment in context.slots.deployments:
        manifest = deployment.model.manifest
        found.append(
            {
                "name": deployment.name,
                "version": deployment.version,
                "random_weights": manifest.model.weights.random,
                "preprocess": {"default": manifest.preprocess.default, "names": sorted(manifest.preprocess.pipelines)},
                "outputs": _outputs(manifest),
                "labels": {name: len(labels) for name, labels in deployment.model.labels.items()},
            }
        )
    return Response.json({"models": found})


def _outputs(manifest: Manifest) -> list[dict[str, str]]:
    if manifest.loop is not None:
        return [{"name": manifest.loop.logits, "kind": "text"}]
    return [{"name": post.output, "kind": post.step} for post in manifest.postprocess]


def metrics(context: Context, request: Request, call: Call) -> Response:
    """Return all metrics."""
    text = context.metrics.expose()
    if context.settings.nv_metrics:
        models = [(d.name, d.version, d.waiting) for d in context.slots.deployments]
        text += triton_lines(context.metrics, models)
    return Response(200, text.encode("utf-8", "replace"), "text/plain; version=0.0.4; charset=utf-8")


def server_gauges(context: Context) -> list[tuple[Any, tuple[str, ...], float]]:
    """Return what is true now of the server as a whole."""
    return [
        (CONNECTIONS, (), float(context.account.connections)),
        (BUFFERED, (), float(context.account.held)),
        (LOG_DROPPED, (), float(context.log.dropped)),
        (INFO, (__version__, TVM_VERSION), 1.0),
    ]
