"""Operators of several values, element by element, shapes stretched to one.

Whole numbers divide as ONNX says: towards zero, and without an end of the process where the divisor is zero or the
quotient overflows (both trap on x86).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, tirx

from ovenbird.networks.onnx.converters.maps.elementwise import converted, elementwise
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal


def binary(operator: Callable[[relax.Expr, relax.Expr], relax.Expr]) -> OnnxConverter:
    """Return the converter to a Relax operator of two tensors."""
    return lambda node: operator(node.tensor(0), node.tensor(1))


def variadic(operator: Callable[[relax.Expr, relax.Expr], relax.Expr]) -> OnnxConverter:
    """Return the converter to a Relax operator of two tensors, over one or more."""

    def convert(node: Node) -> relax.Expr:
        tensors = [node.tensor(index) for index in range(len(node.inputs))]
        return functools.reduce(lambda left, right: node.emit(operator(left, right)), tensors)

    return convert


def mean(node: Node) -> relax.Expr:
    """`Mean` of the inputs."""
    total = variadic(relax.op.add)(node)
    return relax.op.multiply(total, literal(np.array(1 / len(node.inputs), node.dtype(0))))


def divide(node: Node) -> relax.Expr:
    """`Div`: whole numbers are rounded towards zero."""
    dtype = node.dtype(0)
    if dtype.startswith("float"):
        return relax.op.divide(node.tensor(0), node.tensor(1))

    def element(left: Any, right: Any) -> Any:
        zero = tirx.const(0, dtype)
        of_edge = tirx.Select(right == zero, zero, zero - left)  # by 0, by -1
        return tirx.Select(_traps(right, dtype), of_edge, tirx.truncdiv(left, _divisor(right, dtype)))

    return elementwise(node, element, *stretched(node))


def _traps(right: Any, dtype: str) -> Any:
    """Return whether a division by this may trap: by zero, and the smallest number by -1."""
    zero = right == tirx.const(0, dtype)
    return zero if dtype.startswith("u") else tirx.any(zero, right == tirx.const(-1, dtype))


def _divisor(right: Any, dtype: str) -> Any:
    return tirx.Select(_traps(right, dtype), tirx.const(1, dtype), right)


def modulo(node: Node) -> relax.Expr:
    """`Mod`: of whole numbers with the divisor's sign, as Python's; with `fmod` with the dividend's, as C's."""
    dtype, as_in_c = node.dtype(0), bool(node.attribute("fmod", 0))

    def of_floats(left: Any, right: Any) -> Any:
        rest = _rest(left, right, dtype)
        zero = tirx.const(0, dtype)
        if not as_in_c:
            apart = tirx.any(tirx.all(rest > zero, right < zero), tirx.all(rest < zero, right > zero))
            rest = tirx.Select(apart, rest + right, rest)
        # a zero has a sign, too: the divisor's, or the dividend's
        negative = (left if as_in_c else right) < zero
        return tirx.Select(rest == zero, tirx.Select(negative, tirx.const(-0.0, dtype), zero), rest)

    def of_wholes(left: Any, right: Any) -> Any:
        remainder = tirx.truncmod if as_in_c else tirx.floormod
        return tirx.Select(_traps(right, dtype), tirx.const(0, dtype), remainder(left, _divisor(right, dtype)))

    return elementwise(node, of_floats if dtype.startswith("float") else of_wholes, *stretched(node))


def _rest(left: Any, right: Any, dtype: str) -> Any:
    """Return what a division towards zero leaves: exact in float64 while the quotient is below 2 ** 29."""
    wide, divisor = left.astype("float64"), right.astype("float64")
    rest = wide - tirx.trunc(wide / divisor) * divisor
    # the quotient may have been rounded up to the next whole number
    beyond = tirx.any(tirx.all(wide > 0.0, rest < 0.0), tirx.all(wide < 0.0, rest > 0.0))
    rest = tirx.Select(beyond, rest + tirx.Select(wide < 0.0, -tirx.abs(divisor), tirx.abs(divisor)), rest)
    whole = tirx.all(tirx.isinf(divisor), tirx.Not(tirx.isinf(wide)), tirx.Not(tirx.isnan(wide)))
    return tirx.Select(whole, wide, rest).astype(dtype)


def power(node: Node) -> relax.Expr:
    """`Pow`, in the dtype of the base; small whole exponents by multiplication, exactly."""
    base, dtype, exponent = node.tensor(0), node.dtype(0), node.known(1)
    if exponent is not None and exponent.size == 1 and exponent.ndim <= len(node.shape(0)):
        number = float(exponent.reshape(-1)[0])
        if number in (1.0, 2.0, 3.0, 4.0):
            return functools.reduce(
                lambda left, _: node.emit(relax.op.multiply(left, base)), range(int(number) - 1), base
            )
        if number == 0.5 and dtype.startswith("float"):
            return relax.op.sqrt(base)
    if dtype.startswith("float"):
        return relax.op.power(base, converted(node, dtype, 1))
    wide = [node.emit(converted(node, "float64", index)) for index in (0, 1)]
    return relax.op.astype(node.emit(relax.op.power(*wide)), dtype)


def shift(node: Node) -> relax.Expr:
    """`BitShift`; shifting all bits out, or by less than nothing, leaves zero, or the sign of a negative number."""
    left = node.attribute("direction") == "LEFT"
    dtype = node.dtype(0)
    bits = np.dtype(dtype).itemsize * 8

    def element(number: Any, places: Any) -> Any:
        zero = tirx.const(0, dtype)
        inside = tirx.all(places >= zero, places < tirx.const(bits, dtype))
        safe = tirx.Select(inside, places, zero)
        moved = number << safe if left else number >> safe
        emptied = zero if left else number >> tirx.const(bits - 1, dtype)
        return tirx.Select(inside, moved, zero if dtype.startswith("u") else emptied)

    return elementwise(node, element, *stretched(node))


def where(node: Node) -> relax.Expr:
    """`Where`."""
    return relax.op.where(node.tensor(0), node.tensor(1), node.tensor(2))


def stretched(node: Node) -> list[relax.Expr]:
    """Return the inputs in one shape."""
    shapes = [node.shape(index) for index in range(len(node.inputs))]
    shape = np.broadcast_shapes(*shapes)
    return [
        node.tensor(index) if own == shape else node.emit(relax.op.broadcast_to(node.tensor(index), shape))
        for index, own in enumerate(shapes)
    ]


def comparison(operator: Callable[[relax.Expr, relax.Expr], relax.Expr]) -> OnnxConverter:
    """Return the converter to a comparison; truth values are compared as whole numbers."""

    def convert(node: Node) -> relax.Expr:
        sides = [node.tensor(index) for index in (0, 1)]
        if node.dtype(0) == "bool":
            sides = [node.emit(relax.op.astype(side, "int8")) for side in sides]
        return operator(*sides)

    return convert


ARITHMETIC: dict[str, OnnxConverter] = {
    "Add": binary(relax.op.add),
    "And": binary(relax.op.logical_and),
    "BitShift": shift,
    "BitwiseAnd": binary(relax.op.bitwise_and),
    "BitwiseOr": binary(relax.op.bitwise_or),
    "BitwiseXor": binary(relax.op.bitwise_xor),
    "Div": divide,
    "Equal": comparison(relax.op.equal),
    "Greater": comparison(relax.op.greater),
    "GreaterOrEqual": comparison(relax.op.greater_equal),
    "Less": comparison(relax.op.less),
    "LessOrEqual": comparison(relax.op.less_equal),
    "Max": variadic(relax.op.maximum),
    "Mean": mean,
    "Min": variadic(relax.op.minimum),
    "Mod": modulo,
    "Mul": binary(relax.op.multiply),
    "Or": binary(relax.op.logical_or),
    "Pow": power,
    "Sub": binary(relax.op.subtract),
    "Sum": variadic(relax.op.add),
    "Where": where,
    "Xor": binary(relax.op.logical_xor),
}
