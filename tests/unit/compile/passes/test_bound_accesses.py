"""What nothing proves to lie in its buffer is held there; what is proved stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import te, tirx
from tvm.script import tirx as T

from ovenbird.passes.bound_accesses import bound_function


def computed(body: Callable[[te.Tensor, te.Tensor, Any], Any], extent: int = 16) -> tirx.PrimFunc:
    """Return the kernel of one map over `extent` elements, from 8 floats and 4 whole numbers."""
    data, indices = te.placeholder((8,), "float32", name="data"), te.placeholder((4,), "int64", name="indices")
    return te.create_prim_func([data, indices, te.compute((extent,), lambda i: body(data, indices, i), name="out")])


ZERO = tirx.const(0.0, "float32")

PROVED = {
    "in range": (lambda data, indices, i: data[i], 8),
    "strided": (lambda data, indices, i: data[i * 2 + 1], 4),
    "divided": (lambda data, indices, i: data[i // 2] + data[i % 8], 16),
    "guarded": (lambda data, indices, i: tirx.if_then_else(i < 8, data[i], ZERO), 16),
    "otherwise": (lambda data, indices, i: tirx.if_then_else(i < 8, ZERO, data[i - 8]), 16),
    "guarded on both sides": (lambda d, n, i: tirx.if_then_else(tirx.all(i >= 4, i < 12), d[i - 4], ZERO), 16),
    "held": (lambda data, indices, i: data[tirx.max(tirx.min(indices[i], 7), 0)], 4),
}


@pytest.mark.parametrize("name", PROVED)
def test_what_is_proved_stays(name: str) -> None:
    function = computed(*PROVED[name])
    assert bound_function(function).same_as(function)


HELD = {
    "beyond": (lambda data, indices, i: data[i], 16),
    "below": (lambda data, indices, i: data[i - 1], 8),
    "selected": (lambda data, indices, i: tirx.Select(i < 8, data[i], ZERO), 16),
    "in a half of a guard": (lambda data, indices, i: tirx.if_then_else(i < 9, data[i], ZERO), 16),
    "given": (lambda data, indices, i: data[indices[i]], 4),
    "given for an index": (lambda data, indices, i: data[indices[i + 1]], 4),
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_not_proved_is_held(name: str) -> None:
    body, extent = HELD[name]
    function = bound_function(computed(body, extent))
    data = np.arange(8, dtype=np.float32) + 1
    indices = np.array([3, -(2**40), 2**40, 7])
    out = tvm.runtime.tensor(np.zeros(extent, np.float32))
    tvm.compile(function, "llvm")(tvm.runtime.tensor(data), tvm.runtime.tensor(indices), out)
    i = np.arange(extent)
    expected = {
        "beyond": lambda: data[i.clip(0, 7)],
        "below": lambda: data[(i - 1).clip(0, 7)],
        "selected": lambda: np.where(i < 8, data[i.clip(0, 7)], 0),
        "in a half of a guard": lambda: np.where(i < 9, data[i.clip(0, 7)], 0),
        "given": lambda: data[indices.clip(0, 7)],
        "given for an index": lambda: data[indices[(i + 1).clip(0, 3)].clip(0, 7)],
    }[name]()
    np.testing.assert_array_equal(out.numpy(), expected)


def test_a_store_outside_is_left_out() -> None:
    @T.prim_func(s_tir=True)
    def scatter(indices: T.Buffer((4,), "int64"), out: T.Buffer((8,), "float32")):  # type: ignore[no-untyped-def]
        for i in range(4):
            out[indices[i]] = T.float32(1)

    out = tvm.runtime.tensor(np.zeros(8, np.float32))
    indices = np.array([2, -5, 2**33, 7])
    tvm.compile(bound_function(scatter), "llvm")(tvm.runtime.tensor(indices), out)
    assert out.numpy().tolist() == [0, 0, 1, 0, 0, 0, 0, 1]


def test_what_was_compared_may_have_changed_since() -> None:
    """A condition on a register, a loop to one and a `let` of one say nothing of what it holds later."""

    @T.prim_func(s_tir=True)
    def conditions(data: T.Buffer((8,), "float32"), out: T.Buffer((4,), "float32")):  # type: ignore[no-untyped-def]
        for i in range(4):
            at: T.int32 = i * 3
            if at < 8:
                at = at + 3
                out[i] = data[at]

    @T.prim_func(s_tir=True)
    def lets(data: T.Buffer((8,), "float32"), out: T.Buffer((4,), "float32")):  # type: ignore[no-untyped-def]
        for i in range(4):
            at: T.int32 = i * 3
            before: T.let = at
            at = at + 5 * i
            out[i] = data[at - before]

    @T.prim_func(s_tir=True)
    def loops(data: T.Buffer((8,), "float32"), out: T.Buffer((4,), "float32")):  # type: ignore[no-untyped-def]
        at: T.int32 = 4
        for i in range(at):
            at = 0
            out[i] = data[i - at + 8 - 1]

    data = np.arange(8, dtype=np.float32) + 1
    for kernel, places in ((conditions, [3, 6, 7]), (lets, [0, 5, 7, 7]), (loops, [7, 7, 7, 7])):
        out = tvm.runtime.tensor(np.zeros(4, np.float32))
        tvm.compile(bound_function(kernel), "llvm")(tvm.runtime.tensor(data), out)
        assert out.numpy()[: len(places)].tolist() == data[places].tolist()


def test_bounds_outlive_a_change() -> None:
    """What a `let` of a register was held to, it is held to for good."""

    @T.prim_func(s_tir=True)
    def held(data: T.Buffer((8,), "float32"), out: T.Buffer((4,), "float32")):  # type: ignore[no-untyped-def]
        for i in range(4):
            at: T.int32 = i * 3
            place: T.let = T.max(T.min(at, 7), 0)
            at = 100
            out[i] = data[place]

    assert bound_function(held).same_as(held)
