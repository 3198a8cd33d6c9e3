"""Accuracy of exp, sigmoid, tanh and erf over all of float32, compiled for each vector length, against float64."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import te, tirx

from ovenbird.operators.fast_math import clamp, register_fast_math

SMALLEST = 2.0**-126
"""The smallest normal float32: below it a relative error means little."""

LANES = [1, 4, 8, 16]


def sample() -> np.ndarray:
    """Every 4001st float of either sign, the interesting range densely, and the special ones."""
    bits = np.arange(0, 0x7F800001, 4001, dtype=np.uint32)
    everywhere = np.concatenate([bits, bits | np.uint32(0x80000000)]).view(np.float32)
    special = np.array(
        [np.inf, -np.inf, np.nan, 0.0, -0.0, 88.72, 88.73, -87.4, -103.9, -104.1, 3.4e38, -3.4e38], np.float32
    )
    dense = np.linspace(-12, 12, 400_001, dtype=np.float32)
    values = np.concatenate([everywhere, special, dense])
    return np.concatenate([values, np.zeros(-values.size % 64, np.float32)])


def evaluate(function: Callable[[Any], Any], values: np.ndarray, lanes: int) -> np.ndarray:
    """`function` compiled for vectors of `lanes` floats, on every value."""
    x = te.placeholder(values.shape, values.dtype, name="x")
    y = te.compute(values.shape, lambda i: function(x[i]), name="y")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([x, y]))
    (loop,) = schedule.get_loops(schedule.get_sblock("y"))
    schedule.vectorize(schedule.split(loop, [None, lanes])[1])
    register_fast_math()
    kernel = tvm.compile(schedule.mod, tvm.target.Target({"kind": "llvm"}))
    result = tvm.runtime.tensor(np.zeros_like(values))
    kernel(tvm.runtime.tensor(values), result)
    return result.numpy()


def reference(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """`function` in float64, with overflow as infinity."""

    def one(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf

    return np.array([one(x) for x in values.astype(np.float64)])


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    ("function", "exact", "bound"),
    [(tirx.exp, math.exp, 1.0e-7), (tirx.tanh, math.tanh, 1.5e-7), (tirx.erf, math.erf, 3.5e-7)],
    ids=["exp", "tanh", "erf"],
)
def test_relative_error_over_all_floats(
    function: Callable[[Any], Any], exact: Callable[[float], float], bound: float, lanes: int
) -> None:
    values = sample()
    result, expected = evaluate(function, values, lanes), reference(exact, values)
    assert np.array_equal(np.isnan(result), np.isnan(values))
    representable = np.abs(expected) < float(np.finfo(np.float32).max)
    infinite = ~representable & ~np.isnan(values)
    assert np.all(result[infinite] == math.inf)
    error = np.abs(result[representable] - expected[representable])
    assert np.max(error / np.maximum(np.abs(expected[representable]), SMALLEST)) <= bound


@pytest.mark.parametrize("lanes", LANES)
def test_sigmoid_over_all_floats(lanes: int) -> None:
    """Where exp(-x) is infinite it is 0, which is as near as float32 has normal numbers."""
    values = sample()
    result, expected = evaluate(tirx.sigmoid, values, lanes), reference(exact_sigmoid, values)
    assert np.array_equal(np.isnan(result), np.isnan(values))
    error, normal = np.abs(result - expected), expected >= SMALLEST
    assert np.max(error[normal] / expected[normal]) <= 2.0e-7
    assert np.nanmax(error[~normal]) < SMALLEST


def exact_sigmoid(x: float) -> float:
    """The sigmoid in float64."""
    return 0.0 if x < -700 else 1 / (1 + math.exp(-x))


def test_infinities_give_the_limits() -> None:
    ends = np.array([-np.inf, np.inf] * 32, np.float32)
    assert evaluate(tirx.exp, ends, 16)[:2].tolist() == [0.0, math.inf]
    assert evaluate(tirx.tanh, ends, 16)[:2].tolist() == [-1.0, 1.0]
    assert evaluate(tirx.erf, ends, 16)[:2].tolist() == [-1.0, 1.0]
    assert evaluate(tirx.sigmoid, ends, 16)[:2].tolist() == [0.0, 1.0]


def test_float64_keeps_its_own_precision() -> None:
    values = np.linspace(-3, 3, 64)
    for function, exact in ((tirx.exp, np.exp), (tirx.tanh, np.tanh)):
        assert np.max(np.abs(evaluate(function, values, 1) / exact(values) - 1)) <= 1e-13
    exact_erf = np.array([math.erf(x) for x in values])
    assert np.max(np.abs(evaluate(tirx.erf, values, 1) - exact_erf)) <= 1e-13


def test_an_argument_is_bounded_in_one_place() -> None:
    """TVM's analyzer puts values in the places of names: a value with its argument five times grows fivefold a step."""
    places: list[object] = []
    tvm_ffi.structural_walk(clamp(tirx.Var("x", "float32"), -1, 1), (tirx.Var, places.append))
    assert len(places) == 1


def test_whoever_names_the_pipeline_has_them() -> None:
    """A tuning worker imports the pipeline and no schedules: it measures the code that `compile` writes."""
    code = """
import tvm
import tvm_ffi
from tvm import te, tirx
from ovenbird.backends.codegen_pipeline import codegen_pipeline
x = te.placeholder((64,), "float32", name="x")
module = tvm.IRModule({"main": te.create_prim_func([x, te.compute((64,), lambda i: tirx.exp(x[i]), name="y")])})
built = tvm.compile(module, tvm.target.Target({"kind": "llvm"}), tir_pipeline=codegen_pipeline())
print("expf" in built.mod.inspect_source("asm"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
