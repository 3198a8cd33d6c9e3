"""Read a Relax function behind TVM's memory planning as a straight line of kernel calls.

    program = read_calls(module, "main_b1", [0, 1, 2])      # raises NotStraightLine, saying what is in the way

There a function is one block: storages and tensors are allocated, kernels called with them, reshapes made, and what
TVM's virtual machine checks of its arguments. Anything else, and any shape that is not of plain numbers, has no plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast, get_args

import tvm
import tvm_ffi
from tvm import relax, tirx

from ovenbird.planning.tensors import KernelCall, StraightLine, Tensor, TensorView
from ovenbird_runtime.manifest.fields import Dtype

VmValue = TensorView | tuple[Any, ...] | None
"""What a name stands for: a view, a tuple of values, or nothing that a plan needs."""

IGNORED = {
    "relax.null_value", "relax.vm.alloc_storage", "relax.vm.kill_object",
    "vm.builtin.check_tensor_info", "vm.builtin.match_shape", "vm.builtin.null_value",
}  # fmt: skip
"""Done by the virtual machine for itself: a plan's runner knows the shapes, and owns the arena."""

CALLS_BACK = {
    "tirx.tvm_call_packed", "tirx.tvm_call_packed_lowered", "tirx.tvm_call_cpacked", "tirx.tvm_call_cpacked_lowered",
    "tirx.tvm_call_trace_packed",
}  # fmt: skip
"""How a kernel calls a function of TVM's registry (sorts do), which a runner without TVM has not."""


class NotStraightLine(Exception):
    """A program does something that no plan can say; the message names it."""


def read_calls(module: tvm.IRModule, name: str, weights: Sequence[int]) -> StraightLine:
    """Read the function `name`, whose parameters are its inputs and then the tensors that `weights` indexes."""
    function = module[name]
    return _Reader(module, function, weights).read(function)


class _Reader:
    def __init__(self, module: tvm.IRModule, function: relax.Function, weights: Sequence[int]) -> None:
        self.module = module
        self.program = StraightLine()
        self.values: dict[relax.Var, VmValue] = {}
        self.constants: dict[tuple[bytes, str], int] = {}
        self.calls: dict[str, Callable[[relax.Call], VmValue]] = {
            "relax.vm.alloc_tensor": self._allocate,
            "vm.builtin.reshape": self._reshape,
        }
        inputs = len(function.params) - len(weights)
        for index, parameter in enumerate(function.params):
            view = view_of(parameter.ty, Tensor("input", 0, index))
            if index >= inputs:
                view = view_of(parameter.ty, Tensor("weight", 0, weights[index - inputs]))
            view.tensor.nbytes = view.nbytes
            self.values[parameter] = view

    def read(self, function: relax.Function) -> StraightLine:
        """Read the body."""
        body = function.body
        if not isinstance(body, relax.SeqExpr):
            raise NotStraightLine(f"a body of {type(body).__name__}")
        for block in body.blocks:
            for binding in block.bindings:
                if not isinstance(binding, relax.VarBinding):
                    raise NotStraightLine(f"a {type(binding).__name__}")
                self.values[binding.var] = self._value(binding.value)
        answer = self._value(body.body)
        outputs = answer if isinstance(answer, tuple) else (answer,)
        self.program.outputs = tuple(self._written(value) for value in outputs)
        return self.program

    def _value(self, expression: Any) -> VmValue:
        if isinstance(expression, relax.Var):
            return self.values[expression]
        if isinstance(expression, tvm.ir.GenericConst):
            return self._constant(expression)
        if isinstance(expression, relax.Tuple):
            return tuple(self._value(item) for item in expression.fields)
        if isinstance(expression, relax.TupleGetItem):
            return cast(VmValue, cast("tuple[Any, ...]", self._value(expression.tuple_value))[expression.index])
        if isinstance(expression, relax.Call):
            return self._call(expression)
        raise NotStraightLine(f"a {type(expression).__name__}")

    def _call(self, call: relax.Call) -> VmValue:
        operator = call.op
        if isinstance(operator, tvm.ir.GlobalVar):
            self._kernel(operator, call)
            return None
        name = str(operator.global_symbol if isinstance(operator, relax.ExternFunc) else getattr(operator, "name", ""))
        if name in IGNORED:
            return None
        if name not in self.calls:
            raise NotStraightLine(f"a call of {name or type(operator).__name__}")
        return self.calls[name](call)

    def _kernel(self, kernel: tvm.ir.GlobalVar, call: relax.Call) -> None:
        function = self.module[kernel]
        if not isinstance(function, tirx.PrimFunc):
            raise NotStraightLine(f"a call of the function {kernel.name_hint}")
        if calls_back(function):
            raise NotStraightLine(f"{kernel.name_hint}, which calls a function of TVM's own")
        views = [self._view(argument) for argument in call.args]
        for view, parameter in zip(views, function.params, strict=True):
            if plain_numbers(getattr(parameter.ty, "shape", None)) != view.shape:
                raise NotStraightLine(f"{kernel.name_hint}, of which {parameter} is no tensor of shape {view.shape}")
        fresh = [view.tensor.place == "arena" and not view.tensor.written for view in views]
        outputs = fresh.index(True) if True in fresh else len(views)
        # What is new behind the inputs is what the kernel writes. One that writes over its inputs has nothing new.
        if outputs == len(views) or not all(fresh[outputs:]):
            raise NotStraightLine(f"{kernel.name_hint}, whose outputs are not its last arguments")
        for view in views[outputs:]:
            view.tensor.written = True
        self.program.calls.append(KernelCall(kernel.name_hint, tuple(views[:outputs]), tuple(views[outputs:])))

    def _allocate(self, call: relax.Call) -> TensorView:
        view = view_of(call.ty, Tensor("arena", 0))
        view.tensor.nbytes = view.nbytes
        return view

    def _reshape(self, call: relax.Call) -> TensorView:
        source, target = self._written(self._value(call.args[0])), view_of(call.ty_args[0], Tensor("arena", 0))
        if (target.dtype, target.nbytes) != (source.dtype, source.nbytes):
            raise NotStraightLine(f"a reshape of {source.dtype} {source.shape} to {target.dtype} {target.shape}")
        return TensorView(source.tensor, target.dtype, target.shape)

    def _constant(self, constant: Any) -> TensorView:
        array = constant.value.numpy()  # not ascontiguousarray, which gives scalars a dimension
        index = self.constants.setdefault((array.tobytes(), str(array.dtype)), len(self.program.constants))
        if index == len(self.program.constants):
            self.program.constants.append(array)
        return TensorView(Tensor("constant", array.nbytes, index), dtype_of(str(array.dtype)), tuple(array.shape))

    def _view(self, expression: Any) -> TensorView:
        value = self._value(expression) if isinstance(expression, (relax.Var, tvm.ir.GenericConst)) else None
        if not isinstance(value, TensorView):
            raise NotStraightLine(f"a kernel's argument that is no tensor: {type(expression).__name__}")
        return value

    def _written(self, value: VmValue) -> TensorView:
        if not isinstance(value, TensorView):
            raise NotStraightLine("a tuple within a tuple, or an output that is no tensor")
        if value.tensor.place == "arena" and not value.tensor.written:
            raise NotStraightLine("a tensor that nothing writes")
        return value


def calls_back(function: tirx.PrimFunc) -> bool:
    """Return True if a kernel calls functions that TVM's runtime has and `model.so` has not."""
    found: list[str] = []
    tvm_ffi.structural_walk(function.body, (tvm.ir.Call, lambda call: found.append(getattr(call.op, "name", ""))))
    return not CALLS_BACK.isdisjoint(map(str, found))


def view_of(kind: Any, tensor: Tensor) -> TensorView:
    """Return a view of Relax's tensor type. Raises NotStraightLine for a shape that is not of plain numbers."""
    shape = getattr(kind, "shape", None)
    dims = plain_numbers(shape.values) if isinstance(shape, relax.ShapeExpr) else None
    if dims is None:
        raise NotStraightLine(f"a value of type {kind}")
    if not all(dims):
        raise NotStraightLine(f"a tensor without elements: {dims}")
    return TensorView(tensor, dtype_of(str(kind.dtype)), dims)


def plain_numbers(dims: Any) -> tuple[int, ...] | None:
    """Return dimensions as numbers; None where there are none, or one of them is an expression."""
    if dims is None or not all(isinstance(dim, tirx.IntImm) for dim in dims):
        return None
    return tuple(int(dim) for dim in dims)


def dtype_of(name: str) -> Dtype:
    """Return a dtype that artifacts know. Raises NotStraightLine for others."""
    if name not in get_args(Dtype):
        raise NotStraightLine(f"a tensor of {name}")
    return cast(Dtype, name)
