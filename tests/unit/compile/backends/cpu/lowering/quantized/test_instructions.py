"""What the code of a product of levels is made of, for processors that this machine may not be."""

import dataclasses
import re

import numpy as np
import pytest
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.operators.quantized.packing import is_narrow
from ovenbird.targets import TargetSpec, load_target
from support.qdq import Floats, Grid, Qdq

from ...conftest import INSTRUCTION_SETS

AVX_VNNI = dataclasses.replace(INSTRUCTION_SETS["avx2"], mcpu="alderlake", features=("avx2", "avx_vnni"))
VNNI = dataclasses.replace(
    INSTRUCTION_SETS["avx512"], mcpu="cascadelake", features=(*INSTRUCTION_SETS["avx512"].features, "avx512_vnni")
)
NEON = load_target("aarch64-neoverse-n1")
I8MM = dataclasses.replace(NEON, mcpu="neoverse-v1", features=(*NEON.features, "i8mm"))


def assembly(target: TargetSpec, most: int = 127) -> str:
    """Return the code of a convolution and a matrix product, by weights of at most so much."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (1, 32, 8, 8), Grid(0.02, 3))
    weight = random.integers(-most, most + 1, (32, 32, 3, 3), np.int8)
    y = network.conv2d(x, weight, np.full(32, 0.01, np.float32), padding=1).relu().quantize(Grid(0.5, 0))
    network.output(y)
    z = network.input(random, (1, 64), Grid(0.02, 3))
    matrix = random.integers(-most, most + 1, (64, 32), np.int8)
    network.output(network.matmul(z, matrix, np.full(32, 0.01, np.float32)))
    return code_of(network, target)


def code_of(network: Qdq, target: TargetSpec) -> str:
    """Return the code of a network of levels."""
    module, _, _ = network.finish()
    executable: relax.VMExecutable = build_module({EntryKey(): module}, target).executable
    (library,) = executable.mod.imports
    return str(library.inspect_source("asm"))


def depthwise(target: TargetSpec) -> str:
    """Return the code of a depthwise convolution from levels to levels."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (1, 64, 16, 16), Grid(0.02, 3))
    weight = random.integers(-127, 128, (64, 1, 3, 3), np.int8)
    sums = network.conv2d(x, weight, np.full(64, 0.01, np.float32), padding=1, groups=64)
    network.output(sums.relu().quantize(Grid(0.5, 0)))
    return code_of(network, target)


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


def test_products_that_fit_in_16_bits_are_added_there() -> None:
    wide, narrow = (assembly(INSTRUCTION_SETS["avx2"], most) for most in (80, 64))
    assert "vpmaddubsw" not in wide, "twice 80 by 255 saturates"
    assert narrow.count("vpmaddubsw") > 10


AVX512 = INSTRUCTION_SETS["avx512"]


@pytest.mark.parametrize(
    ("target", "vector"),
    [
        pytest.param(INSTRUCTION_SETS["sse"], "xmm", id="SSE"),
        pytest.param(INSTRUCTION_SETS["avx2"], "ymm", id="AVX2"),
        pytest.param(AVX512, "zmm", id="AVX-512 without VNNI", marks=pytest.mark.slow),
        pytest.param(VNNI, "zmm", id="AVX-512 VNNI"),
    ],
)
def test_depthwise_products_are_made_two_at_a_time(target: TargetSpec, vector: str) -> None:
    code = depthwise(target)
    pair = re.compile(rf"(pmaddwd|vpdpwssd)\t.*%{vector}")  # LLVM joins the product with its sum where it can
    products = [line for line in code.splitlines() if pair.search(line)]
    assert len(products) >= 2 * 3 * 4, "two pairs of rows, three columns, several positions"


@pytest.mark.parametrize(
    ("target", "packs"),
    [
        pytest.param(INSTRUCTION_SETS["sse"], True, id="SSE"),
        pytest.param(INSTRUCTION_SETS["avx2"], True, id="AVX2"),
        pytest.param(AVX_VNNI, True, id="AVX-VNNI", marks=pytest.mark.slow),
        pytest.param(VNNI, True, id="AVX-512 VNNI", marks=pytest.mark.slow),
        pytest.param(NEON, False, id="dotprod", marks=pytest.mark.slow),
    ],
)
def test_levels_are_rounded_and_packed_as_vectors(target: TargetSpec, packs: bool) -> None:
    for code in (assembly(target), depthwise(target)):
        assert ("cvtps2dq" in code) == packs  # bytes are packed by the library's code in C as well


def transformer(target: TargetSpec, grids: list[Grid]) -> str:
    """Return the code of one product and gelu behind another, each with a grid of its own."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (28, 64), Grid(0.02, 3))
    for grid in grids:
        sums = network.matmul(x, random.integers(-127, 128, (64, 64), np.int8), np.full(64, 0.01, np.float32))
        value = network.emit(relax.op.nn.gelu(sums.expr))
        x = Floats(network, value, np.zeros((28, 64), np.float32)).quantize(grid)
    network.output(x)
    return code_of(network, target)


@pytest.mark.parametrize("target", [VNNI, INSTRUCTION_SETS["avx2"]], ids=["AVX-512 VNNI", "AVX2"])
def test_gelu_between_levels_is_computed_in_vectors(target: TargetSpec) -> None:
    """Fenced products lane by lane are not joined by LLVM: a product of ViT-B/16 took ten times its time."""
    code = transformer(target, [Grid(0.05, 7)])
    assert code.count("vmulps") > 100
    assert code.count("vmulss") < 10


def test_kernels_that_differ_in_their_grid_alone_are_one() -> None:
    code = transformer(VNNI, [Grid(0.05, 7), Grid(0.06, 9), Grid(0.07, 8), Grid(0.08, 1)])
    kernels = set(re.findall(r"__tvm_ffi_(\w*gelu\w*):", code))
    assert len(kernels) == 2, "the last gives the network's output, in floats"


def test_sums_of_floats_before_levels_keep_the_processors_instruction() -> None:
    """What is summed in floats is another number on another processor anyway: no fence makes it slower."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (1, 32, 8, 8), Grid(0.02, 3)).floats
    weight = relax.const(random.normal(0, 1, (32, 32, 3, 3)).astype(np.float32))
    y = network.emit(relax.op.nn.conv2d(x.expr, weight))
    network.output(Floats(network, y, np.zeros((1, 32, 6, 6), np.float32)).quantize(Grid(0.5, 0)))
    assert code_of(network, INSTRUCTION_SETS["avx2"]).count("vfmadd") > 10


def test_what_fits_in_32_bits_is_held_by_saturation_alone() -> None:
    kernels = [kernel for kernel in assembly(VNNI).split(".Lfunc_end") if "vpdpbusd" in kernel]
    assert kernels
    assert not any("vminps" in kernel for kernel in kernels)


def test_a_few_steps_stay_in_their_order() -> None:
    """Written out and mixed by LLVM, they had their sums on the stack."""
    network, random = Qdq(), np.random.default_rng(0)
    x = network.input(random, (1, 16, 28, 28), Grid(0.02, 0))
    weight = random.integers(-127, 128, (96, 16, 1, 1), np.int8)
    network.output(network.conv2d(x, weight, np.full(96, 0.01, np.float32)).relu().quantize(Grid(0.5, 0)))
    spills = re.findall(r"vmovdqu64\t%zmm\d+, -?\d*\(%rsp\)", code_of(network, VNNI))
    assert len(spills) < 20


def test_weights_say_whether_pairs_fit() -> None:
    def fit(*pair: int) -> bool:
        return is_narrow(np.array([[0, 0, *pair]], np.int8))

    assert all(fit(*pair) for pair in ((64, 64), (127, 1), (-64, -64), (-128, 0), (127, -128)))
    assert not any(fit(*pair) for pair in ((65, 64), (127, 2), (-65, -64), (-128, -1)))
    levels = np.array([0, 255])
    for first, second in ((64, 64), (127, 1), (-128, 0), (127, -128)):
        sums = levels[:, None] * first + levels * second
        assert sums.min() >= -(2**15)
        assert sums.max() < 2**15
