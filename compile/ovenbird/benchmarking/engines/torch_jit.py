"""torch with TorchScript: traced, `jit.freeze`, `optimize_for_inference` (batch norms folded, oneDNN's layouts).

run = ENGINE.start(job)
"""

from __future__ import annotations

import warnings
from typing import Any

from ovenbird.benchmarking.engines import BenchEngine, Runner, _torch
from ovenbird.benchmarking.jobs import Job


def start(job: Job) -> Runner:
    """Build, trace, freeze and optimize the network."""
    import torch

    module, inputs, outputs = _torch.network(job)
    torch.set_num_threads(job.threads)
    jit: Any = torch.jit
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = jit.trace(module, _torch.examples(job, inputs), check_trace=False)
        frozen = jit.optimize_for_inference(jit.freeze(traced))
    return _torch.runner_of(frozen, inputs, outputs, job)


ENGINE = BenchEngine(
    name="torch-jit",
    title="torch, jit.freeze",
    package="torch",
    distributions=("torch",),
    needs="torch",
    precisions=("f32", "f16"),
    load=_torch.load,
    start=start,
)
