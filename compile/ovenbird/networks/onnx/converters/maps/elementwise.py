"""Operators of one value, element by element.

Most activations need no converter: the standard defines them by the operators here. Those that the backends know as
one operator (Relu, Sigmoid, ...) have one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from ovenbird.networks.onnx.dtypes import computed, element_dtype
from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, literal


def unary(operator: Callable[[relax.Expr], relax.Expr]) -> OnnxConverter:
    """Return the converter to a Relax operator of one tensor."""
    return lambda node: operator(node.tensor(0))


def scalar(node: Node, number: float) -> relax.Expr:
    """Return a number in the dtype of the node's first input."""
    return literal(np.array(number, node.dtype(0)))


def elementwise(node: Node, function: Callable[..., Any], *tensors: relax.Expr) -> relax.Var:
    """Emit a map of tensors of one shape, written as a function of their elements."""

    def compute(*arguments: te.Tensor) -> te.Tensor:
        return te.compute(arguments[0].shape, lambda *place: function(*(each(*place) for each in arguments)))

    return node.emit_te(compute, *tensors)


def half_to_even(node: Node) -> relax.Expr:
    """`Round`: halves go to the even neighbour."""
    return elementwise(node, tirx.nearbyint, node.tensor(0))


def sign(node: Node) -> relax.Expr:
    """`Sign`: also of whole numbers without a sign."""
    if node.dtype(0).startswith("u"):
        return relax.op.minimum(node.tensor(0), scalar(node, 1))
    return relax.op.sign(node.tensor(0))


def absolute(node: Node) -> relax.Expr:
    """`Abs`."""
    return node.tensor(0) if node.dtype(0).startswith("u") else relax.op.abs(node.tensor(0))


def reciprocal(node: Node) -> relax.Expr:
    """`Reciprocal`."""
    return relax.op.divide(scalar(node, 1), node.tensor(0))


def infinite(node: Node) -> relax.Expr:
    """`IsInf`: of either sign, or of one."""
    data = node.tensor(0)
    found = relax.op.isinf(data)
    if not node.attribute("detect_positive", 1):
        found = relax.op.logical_and(found, relax.op.less(data, scalar(node, 0)))
    if not node.attribute("detect_negative", 1):
        found = relax.op.logical_and(found, relax.op.greater(data, scalar(node, 0)))
    return found


def leaky_relu(node: Node) -> relax.Expr:
    """`LeakyRelu`."""
    return relax.op.nn.leakyrelu(node.tensor(0), node.attribute("alpha", 0.01))


def gelu(node: Node) -> relax.Expr:
    """`Gelu`, exact or by tanh."""
    tanh = node.attribute("approximate", "none") == "tanh"
    return (relax.op.nn.gelu_tanh if tanh else relax.op.nn.gelu)(node.tensor(0))


def cast(node: Node) -> relax.Expr:
    """`Cast` to the dtype named, half precisions to what they are computed in."""
    return converted(node, computed(element_dtype(node.attribute("to"))).name)


def cast_like(node: Node) -> OnnxValue:
    """`CastLike`: to the dtype of the second input, whose values do not matter."""
    known = node.known(0)
    return converted(node, node.dtype(1)) if known is None else known.astype(node.dtype(1))


def converted(node: Node, dtype: str, index: int = 0) -> relax.Expr:
    """Return an input in another dtype; what overflows a short whole number wraps around, as it does in C."""
    data, own = node.tensor(index), node.dtype(index)
    if own == dtype:
        return data
    if dtype == "bool":
        zero = literal(np.zeros((), own))
        filled = relax.op.not_equal(data, zero)  # of NaN false, which is no zero
        return (
            relax.op.logical_or(node.emit(filled), node.emit(relax.op.isnan(data)))
            if own.startswith("float")
            else filled
        )
    if own.startswith("float") and dtype in ("int8", "int16", "uint8", "uint16"):
        data = node.emit(relax.op.astype(data, "int32"))
    if own.startswith("float") and dtype in ("uint32", "uint64"):
        data = node.emit(relax.op.astype(data, "int64"))
    return relax.op.astype(data, dtype)


def softplus(node: Node) -> relax.Expr:
    """`Softplus` as max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    data = node.tensor(0)
    tail = node.emit(relax.op.exp(node.emit(relax.op.negative(node.emit(relax.op.abs(data))))))
    logarithm = node.emit(relax.op.log(node.emit(relax.op.add(scalar(node, 1), tail))))
    return relax.op.add(node.emit(relax.op.maximum(data, scalar(node, 0))), logarithm)


def hard_sigmoid(node: Node) -> relax.Expr:
    """`HardSigmoid`: alpha * x + beta between 0 and 1."""
    line = node.emit(relax.op.multiply(node.tensor(0), scalar(node, node.attribute("alpha", 0.2))))
    return relax.op.clip(node.emit(relax.op.add(line, scalar(node, node.attribute("beta", 0.5)))), 0, 1)


def hard_swish(node: Node) -> relax.Expr:
    """`HardSwish`: x * (x / 6 + 1/2 between 0 and 1)."""
    line = node.emit(relax.op.multiply(node.tensor(0), scalar(node, 1 / 6)))
    gate = node.emit(relax.op.clip(node.emit(relax.op.add(line, scalar(node, 0.5))), 0, 1))
    return relax.op.multiply(node.tensor(0), gate)


def clip(node: Node) -> relax.Expr:
    """`Clip`: the bounds are attributes before version 11; where they cross, the upper one wins."""
    data = node.tensor(0)
    if node.version < 11:
        bounds: list[OnnxValue] = [
            np.array(node.attribute(name, default), node.dtype(0)) for name, default in OLD_BOUNDS
        ]
    else:
        bounds = [node.inputs[index] if node.has(index) else None for index in (1, 2)]
    known = [each for each in bounds if isinstance(each, np.ndarray)]
    if len(known) == 2 and node.dtype(0).startswith("float") and known[0] <= known[1]:
        return relax.op.clip(data, float(known[0]), float(known[1]))
    for bound, operator in zip(bounds, (relax.op.maximum, relax.op.minimum), strict=True):
        if bound is not None:
            limit = literal(bound.reshape(())) if isinstance(bound, np.ndarray) else bound
            data = node.emit(operator(data, limit))
    return data


LARGEST = float(np.finfo(np.float32).max)
OLD_BOUNDS = (("min", -LARGEST), ("max", LARGEST))


def prelu(node: Node) -> relax.Expr:
    """`PRelu`; one slope a channel is an operator of the backends."""
    data, slope = node.tensor(0), node.known(1)
    shape = node.shape(0)
    if slope is not None and len(shape) > 1 and slope.size == shape[1] and slope.ndim >= len(shape) - 1:
        aligned = (1,) * (len(shape) - slope.ndim) + slope.shape
        if aligned[1] == shape[1]:
            return relax.op.nn.prelu(data, literal(slope.reshape(-1)), axis=1)
    positive = node.emit(relax.op.maximum(data, scalar(node, 0)))
    negative = node.emit(relax.op.minimum(data, scalar(node, 0)))
    return relax.op.add(positive, node.emit(relax.op.multiply(negative, node.tensor(1))))


def shrink(node: Node) -> relax.Expr:
    """`Shrink`: towards zero by the bias where it is beyond the threshold, else zero."""
    data, bias = node.tensor(0), scalar(node, node.attribute("bias", 0.0))
    limit = node.attribute("lambd", 0.5)
    low = node.emit(relax.op.less(data, scalar(node, -limit)))
    high = node.emit(relax.op.greater(data, scalar(node, limit)))
    raised = node.emit(relax.op.where(low, node.emit(relax.op.add(data, bias)), scalar(node, 0)))
    return relax.op.where(high, node.emit(relax.op.subtract(data, bias)), raised)


def hyperbolic_cosine(node: Node) -> relax.Expr:
    """`Cosh`: half of exp(x) + exp(-x); no processor has it."""
    return elementwise(node, lambda x: (tirx.exp(x) + tirx.exp(-x)) * tirx.const(0.5, node.dtype(0)), node.tensor(0))


def hyperbolic_sine(node: Node) -> relax.Expr:
    """`Sinh`: half of exp(x) - exp(-x), which have most digits in common near zero: there, its series."""
    dtype = node.dtype(0)

    def element(x: Any) -> Any:
        series = tirx.const(0.0, dtype)
        for power in reversed(range(1, 20, 2)):
            series = series * x * x + tirx.const(1 / math.factorial(power), dtype)
        near = tirx.all(x < tirx.const(1, dtype), x > tirx.const(-1, dtype))
        return tirx.Select(near, series * x, (tirx.exp(x) - tirx.exp(-x)) * tirx.const(0.5, dtype))

    return elementwise(node, element, node.tensor(0))


def bit_cast(node: Node) -> relax.Expr:
    """`BitCast`: the same bits as another dtype of the same size."""
    dtype = computed(element_dtype(node.attribute("to"))).name
    if np.dtype(dtype).itemsize != np.dtype(node.dtype(0)).itemsize or "bool" in (dtype, node.dtype(0)):
        raise node.refuse(f"from {node.dtype(0)} to {dtype}; known are dtypes of one size, not bool")
    return elementwise(node, lambda number: tirx.reinterpret(dtype, number), node.tensor(0))


ELEMENTWISE: dict[str, OnnxConverter] = {
    "Abs": absolute,
    "Acos": unary(relax.op.acos),
    "Acosh": unary(relax.op.acosh),
    "Asin": unary(relax.op.asin),
    "Asinh": unary(relax.op.asinh),
    "Atan": unary(relax.op.atan),
    "Atanh": unary(relax.op.atanh),
    "BitCast": bit_cast,
    "BitwiseNot": unary(relax.op.bitwise_not),
    "Cast": cast,
    "CastLike": cast_like,
    "Ceil": unary(relax.op.ceil),
    "Clip": clip,
    "Cos": unary(relax.op.cos),
    "Cosh": hyperbolic_cosine,
    "Erf": unary(relax.op.erf),
    "Exp": unary(relax.op.exp),
    "Floor": unary(relax.op.floor),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "IsInf": infinite,
    "IsNaN": unary(relax.op.isnan),
    "LeakyRelu": leaky_relu,
    "Log": unary(relax.op.log),
    "Neg": unary(relax.op.negative),
    "Not": unary(relax.op.logical_not),
    "PRelu": prelu,
    "Reciprocal": reciprocal,
    "Relu": unary(relax.op.nn.relu),
    "Round": half_to_even,
    "Shrink": shrink,
    "Sigmoid": unary(relax.op.sigmoid),
    "Sign": sign,
    "Sin": unary(relax.op.sin),
    "Sinh": hyperbolic_sine,
    "Softplus": softplus,
    "Sqrt": unary(relax.op.sqrt),
    "Tan": unary(relax.op.tan),
    "Tanh": unary(relax.op.tanh),
}
