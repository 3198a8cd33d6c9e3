"""Relax functions behind TVM's memory planning: which are straight lines, and what is read off them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax, te, tirx

from ovenbird.planning.read_calls import NotStraightLine, read_calls
from ovenbird.planning.write_plan import write_plan
from ovenbird_runtime.artifact.plan import Buffer
from ovenbird_runtime.artifact.plan_file import decode_plan, plan_bytes
from ovenbird_runtime.manifest.target import Entry

Body = Callable[[relax.BlockBuilder, relax.Var, relax.Var], relax.Expr]


def tensor(*shape: object, dtype: str = "float32") -> relax.TensorType:
    return relax.TensorType(shape, dtype)


def allocated(body: Body, rows: object = 2, **more: Body) -> tvm.IRModule:
    """Build `main(x [rows, 8], weight_0 [8])` and others like it, and bring them to where plans are read."""
    builder = relax.BlockBuilder()
    for name, made in {"main": body, **more}.items():
        x, weight = relax.Var("x", tensor(rows, 8)), relax.Var("weight_0", tensor(8))
        with builder.function(name, [x, weight]):
            builder.emit_func_output(made(builder, x, weight))
    with tvm.target.Target({"kind": "llvm"}):
        return relax.get_pipeline("default")(builder.get())


def reason(body: Body, rows: object = 2) -> str:
    with pytest.raises(NotStraightLine) as caught:
        read_calls(allocated(body, rows), "main", [0])
    return str(caught.value)


def test_calls_with_what_they_read_and_write() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        total = builder.emit(relax.op.add(x, weight))
        return builder.emit(relax.op.multiply(total, relax.const(np.arange(8, dtype="float32"))))

    program = read_calls(allocated(body), "main", [5])
    add, multiply = program.calls
    assert (add.kernel, multiply.kernel) == ("add", "multiply")
    assert [(view.tensor.place, view.tensor.index) for view in add.reads] == [("input", 0), ("weight", 5)]
    assert multiply.reads[0].tensor is add.writes[0].tensor
    assert multiply.reads[1].tensor.place == "constant"
    np.testing.assert_array_equal(program.constants[0], np.arange(8, dtype="float32"))
    assert program.outputs == multiply.writes


def test_a_scalar_stays_without_dimensions() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.take(x, relax.const(1, "int64"), axis=0))

    (take,) = read_calls(allocated(body), "main", [0]).calls
    assert (take.reads[1].tensor.place, take.reads[1].shape, take.reads[1].dtype) == ("constant", (), "int64")


def test_reshapes_are_views_of_one_tensor() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        with builder.dataflow():
            total = builder.emit(relax.op.add(x, weight))
            flat = builder.emit(relax.op.reshape(total, (16,)))
            made = relax.op.nn.relu(flat)
            return builder.emit_output(made)

    add, relu = read_calls(allocated(body), "main", [0]).calls
    assert relu.reads[0].tensor is add.writes[0].tensor
    assert (add.writes[0].shape, relu.reads[0].shape) == ((2, 8), (16,))


def test_tuples_are_outputs_in_order_and_may_hold_what_was_given() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        total = builder.emit(relax.op.add(x, weight))
        pair = builder.emit(relax.Tuple([total, x]))
        again = builder.emit(relax.TupleGetItem(pair, 0))
        return builder.emit(relax.Tuple([x, again, again]))

    given, first, second = read_calls(allocated(body), "main", [0]).outputs
    assert given.tensor.place == "input"
    assert first == second
    assert first.tensor.place == "arena"


def test_a_kernel_with_two_outputs() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        def both(a: te.Tensor) -> list[te.Tensor]:
            return [te.compute((2, 8), lambda i, j: a[i, j] + 1), te.compute((2, 8), lambda i, j: a[i, j] * 2)]

        return builder.emit(builder.call_te(both, x))

    (call,) = read_calls(allocated(body), "main", [0]).calls
    assert (len(call.reads), len(call.writes)) == (1, 2)
    assert call.writes[0].tensor is not call.writes[1].tensor


def test_a_branch_is_no_straight_line() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.If(relax.const(True), relax.op.add(x, weight), relax.op.multiply(x, weight)))

    assert reason(body) == "a If"


def test_a_shape_of_names_is_no_plain_number() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.add(x, weight))

    assert reason(body, tirx.Var("n", "int64")).startswith("a value of type ")


def test_a_tensor_without_elements_has_no_place() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.add(x, weight))

    assert reason(body, 0) == "a tensor without elements: (0, 8)"


def test_a_kernel_that_asks_tvm_for_a_sort_cannot_be_called_without_it() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.argsort(x))

    assert reason(body) == "argsort, which calls a function of TVM's own"


def test_a_kernel_that_writes_over_its_input() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        total = builder.emit(relax.op.add(x, weight))
        count = te.create_prim_func([te.compute((2, 8), lambda i, j: (i + j).astype("float32"), name="count")])
        name = builder.add_func(count.without_attr("global_symbol"), "count")
        return builder.emit(relax.op.call_tir_inplace(name, [total], [0], [tensor(2, 8)]))

    assert reason(body) == "count, whose outputs are not its last arguments"


def test_a_function_that_calls_another() -> None:
    def body(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.call_pure_packed("some.function", x, ty_args=[tensor(2, 8)]))

    assert reason(body) == "a call of some.function"


def test_a_plan_holds_the_entries_that_can_be_planned() -> None:
    def straight(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.add(x, weight))

    def sorting(builder: relax.BlockBuilder, x: relax.Var, weight: relax.Var) -> relax.Expr:
        return builder.emit(relax.op.argsort(x))

    module = allocated(straight, main_b2=sorting)
    plan, unplanned = write_plan(module, [Entry("main", 1, (), "main", (0,)), Entry("main", 2, (), "main_b2", (0,))])
    assert plan is not None
    assert [entry.batch for entry in plan.entries] == [1]
    assert plan.entries[0].buffers[-1] == Buffer("arena", 0, "float32", (2, 8))
    assert decode_plan(plan_bytes(plan)) == plan
    assert set(unplanned) == {"main_b2"}
    nothing, unplanned = write_plan(module, [Entry("main", 2, (), "main_b2", (0,))])
    assert nothing is None
