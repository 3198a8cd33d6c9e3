"""Triton's names for our metrics (`--nv-metrics`), for dashboards that exist.

triton_lines(context)          # 'nv_inference_count{model="resnet50",version="1"} 17\n...'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import metric_names as names
from .metrics import header_lines, sample_line

if TYPE_CHECKING:
    from ..context import Context

_MICRO = 1e6


def triton_lines(context: Context) -> str:
    """Return the aliases as exposition text."""
    metrics = context.metrics
    rows: dict[names.Name, list[str]] = {}
    for deployment in context.slots.deployments:
        name = deployment.name
        values = {
            names.NV_SUCCESS: metrics.value(names.MODEL_REQUESTS, name, "success"),
            names.NV_FAILURE: metrics.value(names.MODEL_REQUESTS, name, "failure"),
            names.NV_COUNT: metrics.value(names.IMAGES_DONE, name),
            names.NV_EXECUTIONS: metrics.value(names.BATCH_IMAGES, name),
            names.NV_REQUEST_US: metrics.total(names.MODEL_SECONDS, name) * _MICRO,
            names.NV_QUEUE_US: metrics.total(names.QUEUE, name) * _MICRO,
            names.NV_INPUT_US: (metrics.total(names.DECODE, name) + metrics.total(names.PREPROCESS, name)) * _MICRO,
            names.NV_INFER_US: metrics.total(names.COMPUTE, name) * _MICRO,
            names.NV_OUTPUT_US: metrics.total(names.POSTPROCESS, name) * _MICRO,
            names.NV_PENDING: float(deployment.batcher.waiting),
        }
        for metric, value in values.items():
            line = sample_line(metric, (name, deployment.version), int(value))
            rows.setdefault(metric, []).append(line)
    lines = []
    for metric, found in rows.items():
        lines += [*header_lines(metric), *found]
    return "\n".join(lines) + "\n" if lines else ""
