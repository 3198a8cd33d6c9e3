"""torch as it is: the module called in inference mode.

run = ENGINE.start(job)
"""

from __future__ import annotations

from ovenbird.benchmarking.engines import BenchEngine, Runner, _torch
from ovenbird.benchmarking.jobs import Job


def start(job: Job) -> Runner:
    """Build the network."""
    module, inputs, outputs = _torch.network(job)
    return _torch.runner_of(module, inputs, outputs, job)


ENGINE = BenchEngine(
    name="torch-eager",
    title="torch, eager",
    package="torch",
    distributions=("torch",),
    needs="torch",
    precisions=("f32", "f16", "bf16"),
    load=_torch.load,
    start=start,
)
