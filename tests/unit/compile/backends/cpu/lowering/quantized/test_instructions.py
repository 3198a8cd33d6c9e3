"""What the code of a product of levels is made of, for processors that this machine may not be."""

import dataclasses

import numpy as np
import pytest
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.targets import TargetSpec, load_target
from support.qdq import Grid, Qdq

from ...conftest import INSTRUCTION_SETS

AVX_VNNI = dataclasses.replace(INSTRUCTION_SETS["avx2"], mcpu="alderlake", features=("avx2", "avx_vnni"))
VNNI = dataclasses.replace(
    INSTRUCTION_SETS["avx512"], mcpu="cascadelake", features=(*INSTRUCTION_SETS["avx512"].features, "avx512_vnni")
)
NEON = load_target("aarch64-neoverse-n1")
I8MM = dataclasses.replace(NEON, mcpu="neoverse-v1", features=(*NEON.features, "i8mm"))


def assembly(target: TargetSpec) -> str:
    """Return the code of a convolution and a matrix product."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (1, 32, 8, 8), Grid(0.02, 3))
    weight = random.integers(-127, 128, (32, 32, 3, 3), np.int8)
    y = network.conv2d(x, weight, np.full(32, 0.01, np.float32), padding=1).relu().quantize(Grid(0.5, 0))
    network.output(y)
    z = network.input(random, (1, 64), Grid(0.02, 3))
    network.output(network.matmul(z, random.integers(-127, 128, (64, 32), np.int8), np.full(32, 0.01, np.float32)))
    module, _, _ = network.finish()
    executable: relax.VMExecutable = build_module({EntryKey(): module}, target).executable
    (library,) = executable.mod.imports
    return str(library.inspect_source("asm"))


@pytest.mark.parametrize(
    ("target", "wanted", "unwanted"),
    [
        pytest.param(VNNI, "vpdpbusd\t", "vfmadd", id="AVX-512 VNNI"),
        pytest.param(AVX_VNNI, "{vex}\tvpdpbusd\t", "vfmadd", id="AVX-VNNI"),
        pytest.param(INSTRUCTION_SETS["avx2"], "vpmaddwd", "vfmadd", id="AVX2", marks=pytest.mark.slow),
        pytest.param(NEON, "sdot\t", "fmla\t", id="dotprod"),
        pytest.param(I8MM, "usdot\t", "fmla\t", id="i8mm", marks=pytest.mark.slow),
    ],
)
def test_products_of_levels_use_the_processors_instruction(target: TargetSpec, wanted: str, unwanted: str) -> None:
    code = assembly(target)
    assert code.count(wanted) > 10
    assert unwanted not in code, "a product joined with a sum"
