"""What operators promise to schedules: kinds that every backend's rules know, dtypes, and lanes by dtype."""

from typing import get_args

import pytest
from tvm import te
from tvm.s_tir import Schedule

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules import RULES
from ovenbird.operators import channels_last
from ovenbird.operators.anchors import RUNS, AnchorKind, size_bytes
from ovenbird.operators.conv2d import Window, conv2d
from ovenbird.operators.writing.blocks import find_anchor, leaf_blocks, widest_dtype


def test_every_kind_has_a_rule() -> None:
    """But for products, which are the GPU's: its plans know them."""
    assert {kinds[0] for kinds in RULES if len(kinds) == 1} == set(get_args(AnchorKind)) - {"product"}


def test_the_dtypes_are_the_anchor_s() -> None:
    data, weight = te.placeholder((1, 2, 9, 9, 16)), te.placeholder((2, 2, 3, 3, 16, 16))
    anchor = find_anchor(Schedule(te.create_prim_func([data, weight, conv2d(data, weight, Window((3, 3)))])))
    assert anchor is not None
    assert (anchor.kind, anchor.accumulator, anchor.operands) == ("tile", "float32", ("float32", "float32"))


def test_sums_of_float16_are_float32() -> None:
    left, right = te.placeholder((1, 8, 32), "float16"), te.placeholder((1, 24, 32), "float16")
    product = channels_last.product(left, right, (32, 16))
    anchor = find_anchor(Schedule(te.create_prim_func([left, right, product])))
    assert anchor is not None
    assert (anchor.kind, anchor.accumulator, anchor.operand) == ("product", "float32", "float16")
    assert [int(run) for run in anchor.details[RUNS]] == [32, 16]


def test_a_map_has_no_anchor() -> None:
    x = te.placeholder((8,))
    assert find_anchor(Schedule(te.create_prim_func([x, te.compute((8,), lambda i: x[i] + 1.0)]))) is None


@pytest.mark.parametrize(
    ("dtype", "size", "lanes"), [("float32", 4, 16), ("float16", 2, 32), ("int8", 1, 64), ("bool", 1, 64)]
)
def test_lanes_follow_the_dtype(dtype: str, size: int, lanes: int) -> None:
    assert size_bytes(dtype) == size
    assert Machine(64, 32, 48 << 10, 1 << 20, 2).lanes(dtype) == lanes


def test_a_map_s_vectors_are_of_the_widest_elements_it_touches() -> None:
    x = te.placeholder((64,), "float32")
    sch = Schedule(te.create_prim_func([x, te.compute((64,), lambda i: x[i] > 0.0)]))
    assert widest_dtype(sch, leaf_blocks(sch)[0]) == "float32"
