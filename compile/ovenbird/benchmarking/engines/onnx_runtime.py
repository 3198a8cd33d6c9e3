"""ONNX Runtime on its CPU provider: all graph optimizations, `intra_op` threads as asked, spinning as it comes.

run = ENGINE.start(job)             # InferenceSession on the network's ONNX file
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ovenbird.benchmarking.engines import BenchEngine, Runner
from ovenbird.benchmarking.jobs import Job
from ovenbird_runtime.tensors.arrays import Arrays


def load() -> str:
    """Import ONNX Runtime and return its version."""
    return str(importlib.import_module("onnxruntime").__version__)


def start(job: Job) -> Runner:
    """Create the session."""
    ort: Any = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(job.onnx), options, providers=["CPUExecutionProvider"])
    eaten = [given.name for given in session.get_inputs()]  # a user's ONNX file may spell them otherwise than we do
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Any]) -> Arrays:
        found = session.run(names, dict(zip(eaten, inputs.values(), strict=True)))
        return dict(zip(names, found, strict=True))

    return run


ENGINE = BenchEngine(
    name="ort",
    title="ONNX Runtime",
    package="onnxruntime",
    distributions=("onnxruntime",),
    needs="onnx",
    precisions=("f32", "f16", "int8"),
    load=load,
    start=start,
)
