"""Of a network that came quantized, the tensor whose scale loses the most is named."""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.quantize.calibration.ranges import LevelRange
from ovenbird.quantize.imported import coarsest_tensor, meant
from support.qdq import Grid, Qdq


def test_the_tensor_with_the_coarsest_levels_is_named() -> None:
    random = np.random.default_rng(4)
    network = Qdq()
    x = network.input(random, (1, 3, 8, 8), Grid(0.02, 117))
    weight = random.integers(-127, 128, (8, 3, 1, 1), np.int8)
    scales = np.full(8, 0.002, np.float32)
    y = network.conv2d(x, weight, scales).relu().quantize(Grid(2.0, 0))  # far too wide
    network.output(
        network.conv2d(y, random.integers(-127, 128, (4, 8, 1, 1), np.int8), scales[:4]).quantize(Grid(0.1, 128))
    )
    module, inputs, _ = network.finish()
    found = coarsest_tensor(module, [inputs])
    assert found.startswith("quantized tensor 2 of 3, [1, 8, 8, 8] by scale 2 ("), found


def test_ends_of_a_range_that_are_an_activation_are_no_noise() -> None:
    values = np.array([-3, 1, 7, 9], np.float32)
    assert meant(values, LevelRange(6 / 255, 0)).tolist() == [0, 1, 6, 6]
    assert meant(values, LevelRange(8 / 255, 0)).tolist() == [0, 1, 7, 9]
    assert meant(values, LevelRange(6 / 255, 3)).tolist() == values.tolist()


def test_a_network_of_floats_has_none() -> None:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.nn.relu(x))
        builder.emit_func_output(result)
    assert coarsest_tensor(builder.get(), []) == ""
