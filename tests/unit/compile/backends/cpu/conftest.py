"""Small networks through the real code generator, compared with torch on the same input.

Code runs in the compiler's own process here: the tests look at the numbers, not at the runtime.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import tvm
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.networks.importing import import_exported
from ovenbird.targets import TargetSpec

INSTRUCTION_SETS = {
    "sse": TargetSpec("sse", "", "llvm", "x86_64", "x86_64-unknown-linux-gnu", "x86-64-v2", cores=2),
    "avx2": TargetSpec(
        "avx2",
        "",
        "llvm",
        "x86_64",
        "x86_64-unknown-linux-gnu",
        "haswell",
        vector_bits=256,
        cores=2,
        features=("avx2",),
    ),
    "avx512": TargetSpec(
        "avx512",
        "",
        "llvm",
        "x86_64",
        "x86_64-unknown-linux-gnu",
        "x86-64-v4",
        vector_bits=512,
        registers=32,
        cores=2,
        l2_bytes=1 << 20,
        features=("avx512f", "avx512vl", "avx512dq", "avx512bw"),
    ),
}
"""Vector widths that x86-64 has, narrowest first."""

TOLERANCE = 2e-5
"""Largest difference allowed, relative to the output's largest value."""

Check = Callable[..., None]


def processor_flags() -> set[str]:
    """The features of this machine, as the kernel names them."""
    for line in Path("/proc/cpuinfo").read_text("ascii").splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()


def run_compiled(network: torch.nn.Module, inputs: tuple[torch.Tensor, ...], target: TargetSpec) -> list[np.ndarray]:
    """The outputs of `network` compiled for `target`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        program = torch.export.export(network, inputs)
    module = import_exported(program)
    batch = inputs[0].shape[0]
    built = build_module({batch: module}, target)
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(value.detach().numpy()) for value in inputs]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    result = machine[built.entries[0].function](*tensors)
    return [result.numpy()] if hasattr(result, "numpy") else [part.numpy() for part in result]


def instruction_sets() -> list[object]:
    """Those that this processor has; all but the widest are marked slow, for the tests take as long again for each."""
    flags = processor_flags()
    names = [name for name, target in INSTRUCTION_SETS.items() if set(target.features) <= flags]
    return [*(pytest.param(name, marks=pytest.mark.slow) for name in names[:-1]), *names[-1:]]


@pytest.fixture(params=instruction_sets())
def check(request: pytest.FixtureRequest) -> Check:
    """`check(network, input, ...)`: compiled code and torch agree."""
    target = INSTRUCTION_SETS[request.param]

    def compare(network: torch.nn.Module, *inputs: torch.Tensor, tolerance: float = TOLERANCE) -> None:
        network = network.eval()
        with torch.no_grad():
            expected = network(*inputs)
        references = expected if isinstance(expected, tuple) else (expected,)
        outputs = run_compiled(network, inputs, target)
        assert len(outputs) == len(references)
        for output, reference in zip(outputs, references, strict=True):
            wanted = reference.numpy()
            assert output.shape == wanted.shape
            scale = max(float(np.abs(wanted).max()), 1e-6)
            np.testing.assert_allclose(output, wanted, rtol=0, atol=tolerance * scale)

    return compare


@pytest.fixture(autouse=True)
def seed() -> None:
    """The same weights and inputs in every run."""
    torch.manual_seed(0)
