"""Lowering of operators of our own: their kernel, called on flat tensors, or on an image in the backend's layout.

Example: `own_call(Sort(1, True), x)` becomes a call of the function `sort`, whose two results are reshaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax
from tvm.s_tir import SBlock, SBlockRealize

from ovenbird.lowering.form import Form
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered, Lowering
from ovenbird.operators.movements.selection import Selection
from ovenbird.operators.own_table import OWN
from ovenbird.operators.writing.own import KERNEL, PLAIN, ImageLayout, OwnOperator, Spec, own_operator, spec_of
from ovenbird.passes.fusion.keep_unschedulable_apart import OPAQUE
from ovenbird.passes.shapes import static_shape


def lower_own(lowering: Lowering, call: relax.Call) -> Lowered | None:
    """Lower a call of `operators.writing.own.own_call`."""
    operator = own_operator(call, OWN)
    return None if operator is None else emit_own(lowering, operator, list(call.args[1:-1]))


def emit_own(lowering: Lowering, operator: OwnOperator, tensors: list[relax.Expr]) -> Lowered:
    """Emit the kernel on tensors of the network, and return what it gives."""
    specs = [spec_of(tensor) for tensor in tensors]
    arguments: list[relax.Expr] = []
    images = [lowering.value(tensor) for tensor in tensors[: operator.images]]
    blocked = bool(images) and all(lowering.form.is_image(image) for image in images)
    layout = lowering.form.image_layout if blocked else PLAIN
    for index, image in enumerate(images):
        if blocked:
            arguments.append(lowering.form.image(image))
            specs[index] = Spec(specs[index].shape, image.dtype)
        else:
            arguments.append(lowering.expression(tensors[index]))
    arguments += [flat(lowering, tensor) for tensor in tensors[operator.images :]]
    outputs = operator.outputs(specs)
    results = emit_kernel(lowering, operator, specs, layout, arguments)
    values: list[Value] = []
    for index, (result, spec) in enumerate(zip(results, outputs, strict=True)):
        if operator.image_output and index == 0 and layout is not PLAIN:
            values.append(Value(spec.shape, spec.dtype, image=result))
        else:
            values.append(lowering.entered(reshaped(lowering, result, spec.shape)))
    return values[0] if len(values) == 1 else tuple(values)


def emit_kernel(
    lowering: Lowering | Form,
    operator: OwnOperator,
    specs: list[Spec],
    layout: ImageLayout,
    arguments: list[relax.Expr],
) -> list[relax.Expr]:
    """Emit the function and its call; return the outputs, without the scratch."""
    outputs = operator.outputs(specs)
    types = [relax.TensorType((spec.size,), spec.dtype) for spec in (*outputs, *operator.scratch(specs))]
    if operator.image_output:
        types[0] = relax.TensorType(layout.shape(outputs[0].shape), outputs[0].dtype)
    kernel = operator.kernel(specs, layout)
    root = SBlock([], [], [], "kernel", kernel.body)  # TVM asks any function whether it is a reshape, and wants a block
    kernel = kernel.with_body(SBlockRealize([], True, root)).with_attrs(
        {"op_pattern": OPAQUE, "tirx.noalias": True, KERNEL: operator.name}
    )
    builder = lowering.builder
    name = builder.add_func(kernel, operator.name)
    called: Any = builder.emit(relax.call_tir(name, arguments, types[0] if len(types) == 1 else types))
    if len(types) == 1:
        return [called]
    return [builder.emit(relax.TupleGetItem(called, index)) for index in range(len(outputs))]


def select(lowering: Lowering | Form, plain: relax.Expr, axis: int, places: Sequence[int]) -> relax.Expr:
    """Emit the choice of places along one axis of a plain tensor."""
    spec, operator = spec_of(plain), Selection.of(axis, places)
    (result,) = emit_kernel(lowering, operator, [spec], PLAIN, [reshaped(lowering, plain, (spec.size,))])
    return reshaped(lowering, result, operator.outputs([spec])[0].shape)


def flat(lowering: Lowering, tensor: relax.Expr) -> relax.Expr:
    """Return a tensor of the network as one row of elements."""
    constant = getattr(tensor, "value", None)
    if constant is not None and hasattr(constant, "numpy"):
        return relax.const(constant.numpy().reshape(-1), str(tensor.ty.dtype))
    expr = lowering.expression(tensor)
    return reshaped(lowering, expr, (spec_of(expr).size,))


def reshaped(lowering: Lowering | Form, expr: relax.Expr, shape: tuple[int, ...]) -> relax.Expr:
    """Return the expression in another shape: a view, or itself."""
    return expr if static_shape(expr) == shape else lowering.builder.emit(relax.op.reshape(expr, shape))
