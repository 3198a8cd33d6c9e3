"""Weights in memory: they are looked at where they lie, and functions for several batch sizes hold them once."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.lowering.dumping import NOWHERE
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.passes.share_constants import array_of, constant_of, constants_bytes, key_of
from ovenbird.targets import load_target


def test_a_constant_is_not_copied_to_be_read() -> None:
    constant = relax.const(np.arange(64, dtype="float32"))
    one, two = array_of(constant), array_of(constant)
    assert one.ctypes.data == two.ctypes.data
    np.testing.assert_array_equal(one, np.arange(64))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint16", "int64", "bool"])
def test_an_array_of_any_strides_becomes_a_constant(dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype).transpose(2, 0, 1)[:, ::-1]
    constant = constant_of(array)
    assert (str(constant.ty.dtype), array_of(constant).flags.c_contiguous) == (dtype, True)
    np.testing.assert_array_equal(array_of(constant), array)


def test_a_large_array_is_copied_once() -> None:
    array = np.zeros((4096, 2048), "float32").T
    tracemalloc.start()
    try:
        constant = constant_of(array)
        assert tracemalloc.get_traced_memory()[1] < array.nbytes // 8  # numpy holds no copy of its own
    finally:
        tracemalloc.stop()
    assert array_of(constant).shape == array.shape


def test_weights_are_counted_once() -> None:
    weight, other = relax.const(np.zeros((8, 4), "float32")), relax.const(np.zeros(3, "int8"))
    modules = [tvm.IRModule({"main": summing(weight, weight, other)}), tvm.IRModule({"main": summing(weight)})]
    assert constants_bytes(modules) == 8 * 4 * 4 + 3


def test_a_key_is_of_numbers_dtype_and_shape() -> None:
    numbers = np.arange(6, dtype="int32")
    assert key_of(numbers) == key_of(numbers.copy())
    others = (numbers.reshape(2, 3), numbers.view("float32"), numbers + 1, np.array(True), np.empty((0, 2), "float32"))
    assert len({key_of(each) for each in (numbers, *others)}) == 6


def test_batch_sizes_hold_packed_weights_once() -> None:
    net = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(16 * 4, 20)).eval()
    shapes = {EntryKey(batch=batch): (batch, 16, 4, 4) for batch in (1, 8)}
    modules = {key: import_exported(torch.export.export(net, (torch.zeros(shape),))) for key, shape in shapes.items()}
    lowered = BACKENDS["llvm"].compiler(load_target("host"), BuildOptions()).lower(modules, NOWHERE)
    packed = [[one for one in constants(lowered[key.function]) if one.size >= 16 * 16 * 9] for key in shapes]
    assert [len(each) for each in packed] == [1, 1]
    assert packed[0][0].ctypes.data == packed[1][0].ctypes.data


def summing(*held: Any) -> relax.Function:
    """Return a function that answers with the constants in `held`."""
    builder = relax.BlockBuilder()
    with builder.function("main", []):
        builder.emit_func_output(relax.Tuple(list(held)))
    return builder.get()["main"]


def constants(function: Any) -> list[Any]:
    """Return the numbers of all constants in a function."""
    found: list[Any] = []
    relax.analysis.post_order_visit(
        function, lambda expr: found.append(array_of(expr)) if isinstance(expr, tvm.ir.GenericConst) else None
    )
    return found
