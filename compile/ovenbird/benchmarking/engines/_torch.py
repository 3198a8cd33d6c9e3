"""What the three ways to run torch have in common: the network built again with the same weights, its threads, arrays.

run = runner_of(module, inputs, outputs, job)
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.benchmarking.engines import Runner
from ovenbird.benchmarking.jobs import NETWORK_FILE, Job
from ovenbird_runtime.tensors.arrays import Array, Arrays


def load() -> str:
    """Import torch and return its version."""
    return str(importlib.import_module("torch").__version__)


def network(job: Job) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Build the network of the work folder: the module, its inputs' and its outputs' names."""
    from ovenbird.benchmarking.preparing import network_options
    from ovenbird.loading.load import load_network

    facts = json.loads((Path(job.folder) / NETWORK_FILE).read_text(encoding="utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_network(facts["model"], network_options(facts))
    source: Any = loaded.source
    names = tuple(spec.name for spec in loaded.inputs), tuple(spec.name for spec in loaded.outputs)
    return source.traced.flat, *names


def examples(job: Job, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the job's inputs as tensors, in order."""
    import torch

    with np.load(job.inputs, allow_pickle=False) as archive:
        return tuple(torch.from_numpy(archive[name]) for name in names)


def arithmetic_of(job: Job) -> AbstractContextManager[Any]:
    """Return the context in which torch computes as all engines do: `autocast` where that is bfloat16."""
    import torch

    return torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bf16")


def runner_of(module: Callable[..., Any], inputs: tuple[str, ...], outputs: tuple[str, ...], job: Job) -> Runner:
    """Wrap a callable of tensors as a function of arrays on the job's threads."""
    import torch

    torch.set_num_threads(job.threads)

    def run(arrays: Mapping[str, Any]) -> Arrays:
        with torch.inference_mode(), arithmetic_of(job):
            found = module(*(torch.from_numpy(arrays[name]) for name in inputs))
            return {name: numpy_of(tensor) for name, tensor in zip(outputs, found, strict=True)}

    return run


def numpy_of(tensor: Any) -> Array:
    """Return a tensor as an array; bfloat16, which numpy does not know, as float32."""
    import torch

    found: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found
