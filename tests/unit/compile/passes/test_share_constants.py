"""Weights in memory: they are looked at where they lie, and functions for several batch sizes hold them once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.table import BACKENDS
from ovenbird.lowering.dumping import NOWHERE
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.importing import import_exported
from ovenbird.passes.share_constants import array_of, key_of
from ovenbird.targets import load_target


def test_a_constant_is_not_copied_to_be_read() -> None:
    constant = relax.const(np.arange(64, dtype="float32"))
    one, two = array_of(constant), array_of(constant)
    assert one.ctypes.data == two.ctypes.data
    np.testing.assert_array_equal(one, np.arange(64))


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


def constants(function: Any) -> list[Any]:
    """Return the numbers of all constants in a function."""
    found: list[Any] = []
    relax.analysis.post_order_visit(
        function, lambda expr: found.append(array_of(expr)) if isinstance(expr, tvm.ir.GenericConst) else None
    )
    return found
