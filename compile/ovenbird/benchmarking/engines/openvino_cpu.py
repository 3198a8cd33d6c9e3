"""OpenVINO on its CPU plugin: float32 by the precision hint (it would take bfloat16 where it can), bfloat16 where all
engines are compared in that, latency mode. A network of QuantizeLinear and DequantizeLinear is computed in int8 all the
same.

run = ENGINE.start(job)         # CompiledModel of the network's ONNX file
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ovenbird.benchmarking.engines import BenchEngine, Runner
from ovenbird.benchmarking.jobs import Job
from ovenbird_runtime.tensors.arrays import Arrays

CONFIG: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}


def load() -> str:
    """Import OpenVINO and return its version."""
    return str(importlib.import_module("openvino").__version__).split("-")[0]


def start(job: Job) -> Runner:
    """Read and compile the ONNX file."""
    openvino: Any = importlib.import_module("openvino")
    hint = "bf16" if job.precision == "bf16" else "f32"
    config = {**CONFIG, "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": job.threads}
    core = openvino.Core()
    model = core.compile_model(str(job.onnx), "CPU", config)
    request = model.create_infer_request()
    names = [output.get_any_name() for output in model.outputs]

    def run(inputs: Mapping[str, Any]) -> Arrays:
        found = request.infer(list(inputs.values()), share_inputs=True, share_outputs=True)
        return {name: found[index] for index, name in enumerate(names)}

    return run


ENGINE = BenchEngine(
    name="openvino",
    title="OpenVINO",
    package="openvino",
    distributions=("openvino",),
    needs="onnx",
    precisions=("f32", "f16", "int8", "bf16"),
    load=load,
    start=start,
)
