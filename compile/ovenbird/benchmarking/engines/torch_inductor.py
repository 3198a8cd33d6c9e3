"""torch.compile's inductor with frozen weights: C++ is generated and compiled at the first run, and kept for the next.

run = ENGINE.start(job)         # needs a C++ compiler; the first start takes a minute or so
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.engines import BenchEngine, Runner, _torch
from ovenbird.benchmarking.jobs import Job

CACHE_FOLDER = "inductor"
START_LIMIT_S = 240.0
"""How long generating and compiling the C++ code may take before this engine is left out."""


def start(job: Job) -> Runner:
    """Build the network and hand it to inductor."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str((Path(job.folder) / CACHE_FOLDER).resolve())
    import torch

    module, inputs, outputs = _torch.network(job)
    torch.set_num_threads(job.threads)
    config: Any = importlib.import_module("torch._inductor.config")
    config.freezing = True
    compile_with: Any = torch.compile
    compiled = compile_with(module, backend="inductor", dynamic=False, fullgraph=True)
    with (
        torch.no_grad(),
        _torch.arithmetic_of(job),
    ):  # freezing is for no_grad; inference tensors cannot be its parameters
        compiled(*_torch.examples(job, inputs))
    return _torch.runner_of(compiled, inputs, outputs, job)


ENGINE = BenchEngine(
    name="torch-inductor",
    title="torch, inductor",
    package="torch",
    distributions=("torch",),
    needs="torch",
    precisions=("f32", "f16", "bf16"),
    load=_torch.load,
    start=start,
    start_limit_s=START_LIMIT_S,
)
