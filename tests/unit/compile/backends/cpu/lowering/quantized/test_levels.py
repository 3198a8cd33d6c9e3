"""Networks of 8-bit levels, compiled for each instruction set: the very numbers that whole numbers give."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pytest
from tvm import relax

from support.qdq import Floats, Grid, Qdq

from .conftest import bias, build, run, targets, weights, widest

Generator = np.random.Generator


def convolution(
    network: Qdq, random: Generator, channels: int, outputs: int, size: int, kernel: int, **options: int
) -> None:
    """A convolution with bias and relu, to levels."""
    x = network.input(random, (1, channels, size, size), Grid(0.02, 117))
    weight, scales = weights(random, outputs, channels // options.get("groups", 1), kernel, kernel)
    sums = network.conv2d(x, weight, scales, **options)
    network.output(sums.add_bias(bias(random, outputs)).relu().quantize(Grid(0.35, 0)))


def residual(network: Qdq, random: Generator) -> None:
    """A residual block: the levels are added in the second convolution."""
    x = network.input(random, (1, 32, 9, 9), Grid(0.02, 3))
    first, scales = weights(random, 48, 32, 3, 3)
    y = network.conv2d(x, first, scales, padding=1).add_bias(bias(random, 48)).relu().quantize(Grid(0.4, 0))
    second, scales = weights(random, 32, 48, 1, 1)
    z = network.conv2d(y, second, scales).add_bias(bias(random, 32)).add(x, first=True).relu().quantize(Grid(0.9, 0))
    network.output(z)
    third, scales = weights(random, 32, 32, 1, 1)
    network.output(network.conv2d(z, third, scales).add(z).quantize(Grid(1.3, 131)))


def clipped(network: Qdq, random: Generator) -> None:
    """relu6 on a grid that ends there, and one that does not."""
    x = network.input(random, (1, 16, 6, 6), Grid(0.004, 0))
    for grid in (Grid(6 / 255, 0), Grid(0.05, 20)):
        weight, scales = weights(random, 16, 16, 1, 1)
        network.output(network.conv2d(x, weight, scales).add_bias(bias(random, 16)).clip(0.0, 6.0).quantize(grid))


def stores(network: Qdq, random: Generator) -> None:
    """What is stored in vectors of positions: grids and clamps of all kinds, values beyond int32, ends of rows."""
    ends = [
        (Grid(0.9, 0), None),
        (Grid(0.5, 131), None),
        (Grid(0.03, 20), (-0.5, 4.0)),
        (Grid(0.03, 255), (-4.0, -0.5)),
    ]
    for size, (grid, clip) in zip((8, 14, 7, 28), ends, strict=True):
        x = network.input(random, (1, 24, size, size), Grid(0.02, 117))
        for inputs, kernel in ((24, 1), (1, 3)):
            weight, scales = weights(random, 24, inputs, kernel, kernel)
            sums = network.conv2d(x, weight, scales, padding=kernel // 2, groups=24 // inputs).add_bias(
                bias(random, 24)
            )
            network.output((sums.clip(*clip) if clip else sums).quantize(grid))
    x = network.input(random, (1, 16, 8, 8), Grid(0.02, 117))
    weight, scales = weights(random, 16, 1, 3, 3)
    network.output(network.conv2d(x, weight, scales, padding=1, groups=16).quantize(Grid(1e-11, 128)))


def windows(network: Qdq, random: Generator) -> None:
    """Depthwise windows of even and odd heights that begin at even rows, odd rows, or both."""
    for kernel, stride, padding, size in ((5, 1, 2, 13), (7, 1, 3, 9), (2, 1, 0, 9), (4, 3, 1, 17), (3, 3, 0, 15)):
        convolution(network, random, 24, 24, size, kernel, stride=stride, padding=padding, groups=24)
    convolution(network, random, 24, 24, 13, 3, padding=2, dilation=2, groups=24)


def to_floats(network: Qdq, random: Generator) -> None:
    """Sums that leave as floats."""
    x = network.input(random, (1, 20, 5, 5), Grid(0.05, 255))
    weight, scales = weights(random, 24, 20, 3, 3)
    network.output(network.conv2d(x, weight, scales).add_bias(bias(random, 24)).relu())


def classifier(network: Qdq, random: Generator) -> None:
    """The end of a classifier: mean, flat, a matrix product."""
    x = network.input(random, (1, 64, 7, 7), Grid(0.05, 7))
    mean = network.emit(relax.op.nn.adaptive_avg_pool2d(x.expr, (1, 1)))
    total = x.centred.sum(axis=(2, 3), keepdims=True).astype(np.float32) * np.float32(np.float32(0.05) / 49)
    y = Floats(network, mean, total).quantize(Grid(0.02, 100))
    y = y.moved(network.emit(relax.op.reshape(y.expr, (1, 64))), y.levels.reshape(1, 64))
    weight, scales = weights(random, 64, 100)
    scales = random.uniform(0.0005, 0.002, 100).astype(np.float32)
    network.output(network.matmul(y, weight, scales).add_bias(bias(random, 100)))


def rows(network: Qdq, random: Generator, depth: int, columns: int) -> None:
    """A matrix product of many rows, with a residual."""
    x = network.input(random, (1, 37, depth), Grid(0.03, 128))
    other = network.input(random, (1, 37, columns), Grid(0.1, 17))
    weight, _ = weights(random, depth, columns)
    scales = random.uniform(0.0005, 0.002, columns).astype(np.float32)
    network.output(
        network.matmul(x, weight, scales).add_bias(bias(random, columns)).add(other).quantize(Grid(0.5, 128))
    )


def narrow_pairs(network: Qdq, random: Generator) -> None:
    """Weights of which two products just fit in 16 bits, by levels that are mostly the highest."""
    columns = random.uniform(0.0005, 0.002, 24).astype(np.float32)
    for shape, pair in (((24, 32, 3, 3), (64, 64)), ((24, 32, 1, 1), (127, 1)), ((24, 32, 1, 1), (127, -127))):
        x = network.input(random, (1, 32, 6, 6), Grid(0.02, 9))
        levels = np.where(random.random(x.levels.shape) < 0.9, np.uint8(255), x.levels)
        network.inputs[-1] = x.grid.values(levels)
        weight = np.tile(np.array(pair, np.int8).reshape(1, 2, 1, 1), (24, 16, *shape[2:]))
        weight[1::2] *= -1
        sums = network.conv2d(dataclasses.replace(x, levels=levels), weight, columns, padding=shape[2] // 2)
        network.output(sums.add_bias(bias(random, 24)).quantize(Grid(1.5, 128)))
    y = network.input(random, (5, 64), Grid(0.03, 0))
    network.output(network.matmul(y, np.full((64, 24), 64, np.int8), columns).quantize(Grid(0.5, 3)))


def pools(network: Qdq, random: Generator) -> None:
    """Maxima move levels; means add them up."""
    x = network.input(random, (1, 24, 10, 10), Grid(0.05, 77))
    pooled = network.emit(relax.op.nn.max_pool2d(x.expr, (2, 2), strides=(2, 2)))
    y = x.moved(pooled, x.levels.reshape(1, 24, 5, 2, 5, 2).max(axis=(3, 5)))
    network.output(y)
    mean = network.emit(relax.op.nn.avg_pool2d(x.expr, (2, 2), strides=(2, 2)))
    total = x.centred.reshape(1, 24, 5, 2, 5, 2).sum(axis=(3, 5)).astype(np.float32)
    network.output(Floats(network, mean, total * np.float32(np.float32(0.05) / 4)).quantize(Grid(0.04, 80)))


def movements(network: Qdq, random: Generator) -> None:
    """Concatenation on one grid and on two, transposition, a slice."""
    x = network.input(random, (1, 32, 4, 4), Grid(0.05, 77))
    y = network.input(random, (1, 16, 4, 4), Grid(0.05, 77))
    z = network.input(random, (1, 16, 4, 4), Grid(0.02, 10))
    joined = network.emit(relax.op.concat([x.expr, y.expr], axis=1))
    levels = np.concatenate([x.levels, y.levels], axis=1)
    network.output(x.moved(joined, levels))
    grid = Grid(0.06, 90)
    mixed = network.emit(relax.op.concat([x.expr, z.expr], axis=1))
    again = [grid.round(part.floats.array / np.float32(grid.scale)) for part in (x, z)]
    network.output(network.pair(mixed, np.concatenate(again, axis=1), grid))
    turned = network.emit(relax.op.permute_dims(x.expr, [0, 2, 3, 1]))
    network.output(x.moved(turned, np.ascontiguousarray(x.levels.transpose(0, 2, 3, 1))))
    part = network.emit(relax.op.strided_slice(x.expr, axes=[1], begin=[3], end=[19]))
    network.output(x.moved(part, np.ascontiguousarray(x.levels[:, 3:19])))


def resized(network: Qdq, random: Generator) -> None:
    """Bilinear resizes at places that are exact, of levels that a convolution stores; the nearest pixels of levels."""
    x = network.input(random, (1, 32, 9, 9), Grid(0.02, 117))
    weight, scales = weights(random, 32, 32, 1, 1)
    y = network.conv2d(x, weight, scales).quantize(Grid(0.35, 101))
    for mode, size, places in (
        ("half_pixel", 18, np.arange(18) / 2 - 0.25),
        ("align_corners", 17, np.arange(17) / 2),
        ("half_pixel", 3, np.arange(3) * 3 + 1.0),
    ):
        options = {"layout": "NCHW", "method": "linear", "coordinate_transformation_mode": mode}
        expr = network.emit(relax.op.image.resize2d(y.expr, (size, size), **options))
        network.output(Floats(network, expr, bilinear(y.floats.array, places)).quantize(Grid(0.3, 99)))
    options = {"layout": "NCHW", "method": "nearest_neighbor", "coordinate_transformation_mode": "asymmetric"}
    nearest = network.emit(relax.op.image.resize2d(y.expr, (18, 18), rounding_method="floor", **options))
    network.output(y.moved(nearest, y.levels.repeat(2, axis=2).repeat(2, axis=3)))


def bilinear(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the image at places of rows and of columns, each step rounded to float32."""
    first = np.floor(places).astype(int)
    share, last = (places - first).astype(np.float32), image.shape[-1] - 1
    near = [np.clip(first + step, 0, last) for step in (0, 1)]
    rows = [image[:, :, row][..., near[0]] * (1 - share) + image[:, :, row][..., near[1]] * share for row in near]
    return rows[0] * (1 - share)[:, None] + rows[1] * share[:, None]


def computed(network: Qdq, random: Generator) -> None:
    """Products of two computed tensors, in floats that are exact: of matrices, and a kernel that is no constant."""
    x, y = (network.input(random, (2, 5, 8), Grid(0.5, 3)) for _ in range(2))
    turned = network.emit(relax.op.permute_dims(y.expr, [0, 2, 1]))
    product = network.emit(relax.op.matmul(x.expr, turned))
    network.output(Floats(network, product, x.floats.array @ y.floats.array.transpose(0, 2, 1)))
    image, kernel = (
        network.input(random, (1, 8, 4, 4), Grid(0.5, 3)),
        network.input(random, (8, 8, 1, 1), Grid(0.5, 128)),
    )
    sums = network.emit(relax.op.nn.conv2d(image.expr, kernel.expr))
    wanted = np.einsum("nihw,oi->nohw", image.floats.array, kernel.floats.array[:, :, 0, 0])
    network.output(Floats(network, sums, wanted))


def added(network: Qdq, random: Generator) -> None:
    """Two tensors of levels, added as floats."""
    x = network.input(random, (1, 16, 8, 8), Grid(0.05, 77))
    y = network.input(random, (1, 16, 8, 8), Grid(0.02, 10))
    total = network.emit(relax.op.add(x.expr, y.expr))
    network.output(Floats(network, total, x.floats.array + y.floats.array).quantize(Grid(0.06, 90)))


def functions(network: Qdq, random: Generator) -> None:
    """Functions of floats between sums and levels; no numbers are wanted of them but the same ones everywhere."""
    x = network.input(random, (1, 16, 12, 12), Grid(0.02, 117))
    for function in (relax.op.nn.silu, relax.op.sigmoid, None):
        weight, scales = weights(random, 16, 16, 1, 1)
        sums = network.conv2d(x, weight, scales).add_bias(bias(random, 16)).expr
        y = network.emit(function(sums)) if function else hard_swish(network, sums)
        network.outputs.append((network.pair(y, x.levels, Grid(0.01, 30)).expr, np.empty(0)))


def hard_swish(network: Qdq, x: relax.Expr) -> relax.Expr:
    moved = network.emit(relax.op.add(x, relax.const(np.float32(3))))
    gate = network.emit(relax.op.divide(network.emit(relax.op.clip(moved, 0, 6)), relax.const(np.float32(6))))
    return network.emit(relax.op.multiply(x, gate))


CASES: dict[str, Callable[[Qdq, Generator], None]] = {
    "3x3": lambda n, r: convolution(n, r, 32, 32, 14, 3, padding=1),
    "3x3 strided": lambda n, r: convolution(n, r, 16, 48, 15, 3, stride=2, padding=1),
    "3x3 dilated": lambda n, r: convolution(n, r, 16, 16, 11, 3, padding=2, dilation=2),
    "1x1": lambda n, r: convolution(n, r, 64, 64, 7, 1),
    "1x1 strided": lambda n, r: convolution(n, r, 32, 64, 8, 1, stride=2),
    "channels that fill no block": lambda n, r: convolution(n, r, 37, 21, 6, 3, padding=1),
    "stem": lambda n, r: convolution(n, r, 3, 32, 24, 7, stride=2, padding=3),
    "six channels": lambda n, r: convolution(n, r, 6, 16, 9, 3, padding=1),
    "grouped": lambda n, r: convolution(n, r, 64, 64, 7, 3, padding=1, groups=4),
    "narrow groups": lambda n, r: convolution(n, r, 32, 32, 7, 3, padding=1, groups=8),
    "depthwise": lambda n, r: convolution(n, r, 40, 40, 13, 3, padding=1, groups=40),
    "depthwise strided": lambda n, r: convolution(n, r, 32, 32, 15, 5, stride=2, padding=2, groups=32),
    "depthwise windows": windows,
    "stores": stores,
    "residual": residual,
    "clipped": clipped,
    "to floats": to_floats,
    "classifier": classifier,
    "rows": lambda n, r: rows(n, r, 64, 48),
    "rows of odd sizes": lambda n, r: rows(n, r, 30, 19),
    "pairs in 16 bits": narrow_pairs,
    "pools": pools,
    "movements": movements,
    "added": added,
    "resized": resized,
    "computed": computed,
}

UNKNOWN = {"functions": functions}
"""Networks of which nothing is known but that they come out the same everywhere."""


class Compiled:
    """The cases of one instruction set in one library: what each gives, and what it should."""

    def __init__(self, names: list[str], target: str) -> None:
        network = Qdq()
        ends: list[int] = []
        for name in names:
            {**CASES, **UNKNOWN}[name](network, np.random.default_rng(0))
            ends.append(len(network.outputs))
        module, inputs, wanted = network.finish()
        self.built = build(module, target)
        outputs = run(self.built, inputs)
        starts = [0, *ends[:-1]]
        self.found = {
            name: list(zip(outputs[start:end], wanted[start:end], strict=True))
            for name, start, end in zip(names, starts, ends, strict=True)
        }


FEW = ("3x3 strided", "stem", "depthwise windows", "stores", "residual", "rows of odd sizes", "pools")
"""Those that run without the slow ones: convolutions of many channels, of few and of each, ends of rows, matrices."""


@functools.cache
def compiled(target: str, few: bool) -> Compiled:
    return Compiled([name for name in CASES if (name in FEW) == few], target)


def test_functions_of_floats_come_out_the_same() -> None:
    narrow, wide = (Compiled(["functions"], target).found["functions"] for target in ("sse", widest()))
    for (output, _), (other, _) in zip(narrow, wide, strict=True):
        assert len(np.unique(output)) > 20
        np.testing.assert_array_equal(output, other)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("name", [one if one in FEW else pytest.param(one, marks=pytest.mark.slow) for one in CASES])
def test_the_levels_are_those_of_whole_numbers(name: str, target: str) -> None:
    for output, wanted in compiled(target, name in FEW).found[name]:
        assert output.shape == wanted.shape
        np.testing.assert_array_equal(output, wanted)
