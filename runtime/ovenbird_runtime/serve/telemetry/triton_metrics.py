"""Triton's names for our metrics (`--nv-metrics`), for dashboards that exist.

triton_lines(metrics, [("resnet50", "1", 0)])          # 'nv_inference_count{model="resnet50",version="1"} 17\n...'
"""

from __future__ import annotations

from collections.abc import Iterable

from . import metric_names as names
from .metrics import Metrics, header_lines, sample_line

_MICRO = 1e6


def triton_lines(metrics: Metrics, models: Iterable[tuple[str, str, int]]) -> str:
    """Return the aliases as exposition text, for each model's name, version and images that wait."""
    rows: dict[names.Metric, list[str]] = {}
    for name, version, waiting in models:
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
            names.NV_PENDING: float(waiting),
        }
        for metric, value in values.items():
            line = sample_line(metric, (name, version), int(value))
            rows.setdefault(metric, []).append(line)
    lines = []
    for metric, found in rows.items():
        lines += [*header_lines(metric), *found]
    return "\n".join(lines) + "\n" if lines else ""
