"""Parallel loops are divided among tasks so that none has more than one iteration more than another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tvm
from tvm import te, tirx

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.passes.kernels.divide_evenly import SLOTS, divide_evenly, start


def parallel_loop(count: int) -> tvm.IRModule:
    """Return a function that writes each of `count` places in a parallel loop."""
    x = te.placeholder((count,), "int32", name="x")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([x, te.compute((count,), lambda i: x[i] + 1, name="y")]))
    schedule.parallel(schedule.get_loops(schedule.get_sblock("y"))[0])
    return tvm.IRModule({"main": schedule.mod["main"].with_attr("target", tvm.target.Target("llvm"))})


def shares(count: int, tasks: int) -> list[list[int]]:
    """Return the iterations that each task has, as TVM's generated code divides the loop over slots."""
    step = -(-SLOTS // tasks)
    bounds = [start(min(step * task, SLOTS), count) for task in range(tasks + 1)]
    return [[*range(first, end)] for first, end in itertools.pairwise(bounds)]


@pytest.mark.parametrize("count", [3, 7, 14, 28, 49, 100, 1000])
@pytest.mark.parametrize("tasks", [2, 4, 8, 16])
def test_shares_lie_side_by_side_and_differ_by_one(count: int, tasks: int) -> None:
    found = shares(count, tasks)
    assert [place for own in found for place in own] == [*range(count)]
    sizes = [len(own) for own in found]
    assert max(sizes) - min(sizes) <= 1


def test_the_loop_over_slots_is_the_parallel_one() -> None:
    loop = divide_evenly(parallel_loop(14))["main"].body.block.body
    assert (loop.kind, int(loop.extent)) == (tirx.ForKind.PARALLEL, SLOTS)
    assert loop.body.kind == tirx.ForKind.SERIAL


@pytest.mark.parametrize("count", [1, 2, 3, 14, 64, 1000, 5000])
def test_compiled_loops_do_every_iteration(count: int) -> None:
    kernel = tvm.compile(parallel_loop(count), tvm.target.Target("llvm"), tir_pipeline=codegen_pipeline())
    result = tvm.runtime.tensor(np.zeros(count, np.int32))
    kernel(tvm.runtime.tensor(np.arange(count, dtype=np.int32)), result)
    np.testing.assert_array_equal(result.numpy(), np.arange(count) + 1)
