"""Borders of zeros before convolutions: taken into their padding, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from ovenbird.passes.quantized.absorb_padding import absorb_padding

SHAPE = (1, 4, 6, 7)


def network(widths: list[int], value: float = 0.0, mode: str = "constant", twice: bool = False) -> tvm.IRModule:
    """Return a convolution of a padded image; `twice`: the border is an output, too."""
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType(SHAPE, "float32"))
    kernel = np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32)
    with builder.function("main", [x]):
        with builder.dataflow():
            padded = builder.emit(relax.op.nn.pad(x, widths, mode, value))
            y = builder.emit(relax.op.nn.conv2d(padded, relax.const(kernel), strides=[2, 1], padding=[1, 0, 0, 2]))
            result = builder.emit_output(relax.Tuple([y, padded]) if twice else y)
        builder.emit_func_output(result)
    return builder.get()


def operators(module: tvm.IRModule) -> list[str]:
    return [binding.value.op.name for block in module["main"].body.blocks for binding in block.bindings
            if isinstance(binding.value, relax.Call)]  # fmt: skip


def run(module: tvm.IRModule) -> np.ndarray:
    data = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(data)).numpy()


def test_a_border_becomes_padding() -> None:
    module = network([0, 0, 0, 0, 1, 2, 3, 0])
    absorbed = absorb_padding(module)
    assert operators(absorbed) == ["relax.nn.conv2d"]
    np.testing.assert_allclose(run(absorbed), run(module), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "kept",
    [
        network([0, 0, 0, 0, 1, 1, 1, 1], value=1.0),
        network([0, 0, 0, 0, 1, 1, 1, 1], mode="reflect"),
    ],
    ids=["ones", "reflected"],
)
def test_other_borders_stay(kept: tvm.IRModule) -> None:
    assert operators(absorb_padding(kept)) == ["relax.nn.pad", "relax.nn.conv2d"]


def test_a_border_that_is_read_elsewhere_is_still_written() -> None:
    absorbed = absorb_padding(network([0, 0, 0, 0, 1, 1, 1, 1], twice=True))
    assert operators(absorbed) == ["relax.nn.pad", "relax.nn.conv2d"]
    (_, convolution) = (binding.value for binding in absorbed["main"].body.blocks[0].bindings[:2])
    assert [int(width) for width in convolution.attrs.padding] == [2, 1, 1, 3]
