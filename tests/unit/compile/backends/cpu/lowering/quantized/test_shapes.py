"""Convolutions and matrix products of levels of any shape: the very numbers that whole numbers give."""

from __future__ import annotations

import numpy as np
import pytest

from support.qdq import Grid, Qdq, Sums

from .conftest import bias, build, known_targets, run, weights

CONVOLUTIONS, PRODUCTS = 14, 4
CHANNELS = (1, 2, 3, 4, 5, 8, 12, 16, 17, 32, 33, 48)
Generator = np.random.Generator


def convolution(network: Qdq, random: Generator) -> Sums:
    """Return one of any window, groups, padding and what may follow."""
    groups = int(random.choice([1, 1, 1, 2, 4]))
    inputs, outputs = (int(random.choice(CHANNELS)) * groups for _ in range(2))
    if random.random() < 0.2:
        groups = inputs = int(random.choice([3, 16, 20]))
        outputs = groups * int(random.choice([1, 2]))
    height, width = (int(size) for size in random.choice([1, 2, 3, 5], 2))
    dilation, padding = int(random.choice([1, 1, 2])), int(random.integers(0, 3))
    size = int(random.integers((max(height, width) - 1) * dilation + 1, 18))
    grid = Grid(float(random.uniform(0.001, 0.1)), int(random.integers(0, 256)))
    x = network.input(random, (int(random.choice([1, 1, 2, 3])), inputs, size, size), grid)
    weight, scales = weights(random, outputs, inputs // groups, height, width)
    stride = int(random.choice([1, 1, 2, 3]))
    sums = network.conv2d(x, weight, scales, stride=stride, padding=padding, groups=groups, dilation=dilation)
    if random.random() < 0.7:
        sums = sums.add_bias(bias(random, outputs))
    if random.random() < 0.4:
        sums = sums.add(network.input(random, sums.total.shape, Grid(0.07, int(random.integers(0, 256)))))
    chosen = random.random()
    return sums.relu() if chosen < 0.3 else sums.clip(-1.0, 4.0) if chosen < 0.5 else sums


def product(network: Qdq, random: Generator) -> Sums:
    """Return a matrix product of any size."""
    rows, depth, columns = (
        int(random.choice(sizes)) for sizes in ((1, 2, 7, 33), (1, 3, 4, 10, 64), (1, 5, 16, 19, 48))
    )
    x = network.input(random, (rows, depth), Grid(0.03, int(random.integers(0, 256))))
    weight, _ = weights(random, depth, columns)
    scales = random.uniform(0.001, 0.002, columns).astype(np.float32)
    return network.matmul(x, weight, scales).add_bias(bias(random, columns))


@pytest.mark.slow
@pytest.mark.parametrize("target", known_targets())
def test_any_shape_gives_the_levels_of_whole_numbers(target: str) -> None:
    network, random = Qdq(), np.random.default_rng(known_targets().index(target))
    for sums in [
        *(convolution(network, random) for _ in range(CONVOLUTIONS)),
        *(product(network, random) for _ in range(PRODUCTS)),
    ]:
        levels = random.random() < 0.8
        network.output(
            sums.quantize(Grid(float(random.uniform(0.05, 1)), int(random.integers(0, 256)))) if levels else sums
        )
    module, inputs, wanted = network.finish()
    for output, array in zip(run(build(module, target), inputs), wanted, strict=True):
        np.testing.assert_array_equal(output, array)
