"""Sorts, running sums and scatters agree with torch: order of equal values, NaN, any axis, indices of any value.

All are compiled once, and run between guard pages.
"""

import functools
import itertools

import numpy as np
import torch

from ovenbird.operators.indexing.scan import Scan
from ovenbird.operators.indexing.scatter import ScatterElements, ScatterSlices
from ovenbird.operators.indexing.sort import Sort
from ovenbird.operators.indexing.topk import TopK
from support.own_kernels import Call, run_operators

SHAPES = [((3, 37), 1), ((2, 5, 7), 1), ((1, 1), 0), ((300, 3), 0)]
DTYPES = ("float32", "int64")
TORCH_NAMES = {"sum": "sum", "product": "prod", "mean": "mean", "maximum": "amax", "minimum": "amin"}


def numbers(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Numbers of which many are equal, and some are NaN."""
    random = np.random.default_rng(len(shape))
    found = random.integers(-9, 9, shape).astype(dtype)
    if dtype == "float32":
        found.flat[::7] = np.nan
        found[found == 0] = random.choice([0.0, -0.0], (found == 0).sum())
    return found


def sorts() -> dict[str, Call]:
    """Both orders."""
    calls = [(*SHAPES[0], True, "float32"), (*SHAPES[1], False, "float32"), (*SHAPES[2], True, "float32")]
    calls += [(*SHAPES[3], False, "float32"), (*SHAPES[0], True, "int64"), (*SHAPES[0], False, "bool")]
    calls += [((2, 300), 1, True, dtype) for dtype in ("float32", "float64", "int64", "uint8", "bool")]
    return {
        f"sort {shape} {axis} {descending} {dtype}": Call(Sort(axis, descending), (numbers(*shape, dtype=dtype),))
        for shape, axis, descending, dtype in calls
    }


def long_rows() -> dict[str, Call]:
    """Rows that are gone through with room for few: rising, falling, of equals, of any bits."""
    random = np.random.default_rng(0)
    rows = np.zeros((6, 3000), np.float32)
    rows[0], rows[1] = np.arange(3000), -np.arange(3000)
    rows[3], rows[4] = random.integers(0, 9, 3000), random.standard_normal(3000)
    rows[5] = random.integers(-(2**31), 2**31, 3000).astype(np.int32).view(np.float32)
    rows[2, ::2] = -0.0
    calls = [(rows, 3, True), (rows, 16, False), (rows, 500, False), (rows, 2990, True), (rows.T.copy(), 100, True)]
    calls += [(rows[:5].astype(dtype), 90, dtype != "int64") for dtype in ("float64", "int64", "int8")]
    return {
        f"long {count} {largest} {data.dtype} {data.shape}": Call(TopK(data.shape.index(3000), count, largest), (data,))
        for data, count, largest in calls
    }


def selections() -> dict[str, Call]:
    """A few, nearly all, and one of each axis."""
    return {
        f"topk {shape} {axis} {largest} {count}": Call(TopK(axis, count, largest), (numbers(*shape),))
        for (shape, axis), largest, count in zip(SHAPES, (True, False, True, False), (37, 3, 1, 2), strict=True)
    } | long_rows()


def scatters() -> dict[str, Call]:
    """Every reduction, with and without what was there."""
    random = np.random.default_rng(0)
    calls = {}
    choices = itertools.product(TORCH_NAMES, (True, False))
    for (reduction, include), axis, dtype in zip(choices, itertools.cycle(range(3)), itertools.cycle(DTYPES)):
        data, updates = (random.integers(-9, 9, shape).astype(dtype) for shape in ((4, 5, 6), (4, 4, 6)))
        index = random.integers(0, 4, (3, 4, 5))
        operator = ScatterElements(axis, reduction, include)
        calls[f"scatter {axis} {reduction} {include} {dtype}"] = Call(operator, (data, index, updates))
    return calls


def others() -> dict[str, Call]:
    """Running sums, slices, and indices out of range."""
    random = np.random.default_rng(0)
    x = random.standard_normal((3, 40, 33)).astype(np.float32)
    wild = np.array([[0, 9], [-1, -10], [2**40, -(2**40)], [2, 2]])
    return {
        **{f"sum {axis}": Call(Scan(axis, "sum", "float32"), (x,)) for axis in range(3)},
        "product": Call(Scan(1, "product", "float32"), (x,)),
        "sum backwards": Call(Scan(1, "sum", "float32", exclusive=True, reverse=True), (x,)),
        "slices": Call(ScatterSlices("sum"), (x, np.array([[0, 39], [-1, -40], [0, 39]]), x[:3, 0])),
        "wild": Call(ScatterSlices(), (x[0], wild[:, :1], x[1, :4])),
        "wild elements": Call(ScatterElements(0), (x[0], wild.astype(np.int64), x[1, :4, :2])),
        "bytes": Call(ScatterElements(0), (x[0], np.array([[-1, 5]], np.int8), x[1, :1, :2])),
    }


@functools.cache
def outputs() -> dict[str, tuple[Call, list[np.ndarray]]]:
    """All of them, compiled together."""
    calls = {**sorts(), **selections(), **scatters(), **others()}
    found = run_operators(list(calls.values()))
    return {name: (call, arrays) for (name, call), arrays in zip(calls.items(), found, strict=True)}


def test_sort_and_topk_are_stable_and_take_nan_for_the_greatest() -> None:
    for name in (*sorts(), *selections()):
        call, (values, indices) = outputs()[name]
        operator, x = call.operator, torch.from_numpy(call.inputs[0])
        backwards = operator.descending if isinstance(operator, Sort) else operator.largest
        right = torch.sort(x, dim=operator.axis, descending=backwards, stable=True)
        count = values.shape[operator.axis]
        np.testing.assert_array_equal(values, right.values.narrow(operator.axis, 0, count), name)
        np.testing.assert_array_equal(indices, right.indices.narrow(operator.axis, 0, count), name)


def test_scatter_with_every_reduction() -> None:
    for name in scatters():
        call, (result,) = outputs()[name]
        operator = call.operator
        assert isinstance(operator, ScatterElements)
        data, index, updates = map(torch.from_numpy, call.inputs)
        reduction = TORCH_NAMES[operator.reduction]
        right = data.scatter_reduce(operator.axis, index, updates, reduction, include_self=operator.include_self)
        np.testing.assert_allclose(result, right, rtol=1e-6, err_msg=name)


def test_running_sums_and_products() -> None:
    for axis in range(3):
        call, (sums,) = outputs()[f"sum {axis}"]
        np.testing.assert_allclose(sums, np.cumsum(call.inputs[0], axis), atol=1e-5)
    call, (products,) = outputs()["product"]
    np.testing.assert_allclose(products, np.cumprod(call.inputs[0], 1), rtol=1e-4, atol=1e-6)
    call, (sums,) = outputs()["sum backwards"]
    x = call.inputs[0]
    np.testing.assert_allclose(sums, np.flip(np.cumsum(np.flip(x, 1), 1), 1) - x, atol=1e-5)


def test_slices_are_added_up() -> None:
    call, (result,) = outputs()["slices"]
    data, indices, updates = call.inputs
    right = data.copy()
    np.add.at(right, tuple(indices.T), updates)
    np.testing.assert_allclose(result, right, rtol=1e-6)


def test_indices_of_any_value_stay_inside() -> None:
    call, (result,) = outputs()["wild"]
    right = call.inputs[0].copy()
    for row, update in zip((0, -1, -1, 2), call.inputs[2], strict=True):
        right[row] = update
    np.testing.assert_array_equal(result, right)
    call, (result,) = outputs()["wild elements"]
    assert np.isin(result, np.concatenate([call.inputs[0].ravel(), call.inputs[2].ravel()])).all()
    call, (result,) = outputs()["bytes"]
    assert result[-1, 0] == call.inputs[2][0, 0]
    assert result[5, 1] == call.inputs[2][0, 1]
