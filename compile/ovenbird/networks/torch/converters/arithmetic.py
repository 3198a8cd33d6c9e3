"""Arithmetic as torch defines it, on expressions of one dtype: what `pointwise` calls after promotion."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax

from ovenbird.networks.torch.converters.converter import Arguments, dtype_of

op = relax.op
MOST_PRODUCTS = 64
"""The largest whole exponent that is computed by multiplying: six squares and five products."""

EXPONENT_BITS = 7
"""Of a whole exponent that is a tensor: 2 to the power of 64 is 0 already, and what is larger wraps around."""


def constant(value: float, like: Any) -> Any:
    """Return a number as a tensor of the dtype of `like`."""
    return relax.const(value, dtype_of(like))


def whole(value: Any) -> bool:
    """Return whether an expression holds whole numbers."""
    return "int" in dtype_of(value)


def add(left: Any, right: Any, alpha: float = 1) -> Any:
    """`left + alpha * right`; of truth values, or."""
    if dtype_of(left) == "bool":
        return op.logical_or(left, right)
    return op.add(left, _times(right, alpha))


def subtract(left: Any, right: Any, alpha: float = 1) -> Any:
    """`left - alpha * right`."""
    return op.subtract(left, _times(right, alpha))


def subtract_reversed(left: Any, right: Any, alpha: float = 1) -> Any:
    """`right - alpha * left`."""
    return op.subtract(right, _times(left, alpha))


def _times(value: Any, factor: float) -> Any:
    return value if factor == 1 else op.multiply(value, constant(factor, value))


def multiply(left: Any, right: Any) -> Any:
    """`left * right`; of truth values, and."""
    return (op.logical_and if dtype_of(left) == "bool" else op.multiply)(left, right)


def divide_rounded(left: Any, right: Any, rounding_mode: str | None = None) -> Any:
    """`left / right`, rounded down (floor), towards zero (trunc), or not at all."""
    if rounding_mode == "floor":
        return floor_divide(left, right)
    if rounding_mode == "trunc":
        return _whole_quotient(left, right) if whole(left) else op.trunc(divide(left, right))
    return divide(left, right)


def divide(left: Any, right: Any) -> Any:
    """`left / right`. TVM refuses a constant 0 to divide by: infinity multiplies instead."""
    number = _number(right)
    if number == 0 and not whole(left):
        return op.multiply(left, constant(math.copysign(math.inf, number), left))
    return op.divide(left, right)


def _whole_quotient(left: Any, right: Any) -> Any:
    """Divide whole numbers, towards zero. The processor traps on x / 0 and on least / -1: 0 and -x here."""
    known = _number(right)
    if known is not None and known not in (0, -1):
        return op.divide(left, right)
    zero, one = constant(0, right), constant(1, right)
    if dtype_of(right).startswith("u"):
        return op.where(op.equal(right, zero), zero, op.divide(left, op.maximum(right, one)))
    minus = op.equal(right, constant(-1, right))
    quotient = op.divide(left, op.where(op.logical_or(minus, op.equal(right, zero)), one, right))
    return op.where(minus, op.negative(left), op.where(op.equal(right, zero), zero, quotient))


def floor_divide(left: Any, right: Any) -> Any:
    """`left // right`, rounded down: the fraction that `remainder` leaves is taken off before dividing."""
    if whole(left):
        quotient = _whole_quotient(left, right)
        rest = op.subtract(left, op.multiply(quotient, right))
        return op.subtract(quotient, op.astype(_opposite(rest, right), dtype_of(left)))
    if _number(right) == 0:
        return divide(left, right)
    rest = op.mod(left, right)
    quotient = op.divide(op.subtract(left, rest), right)
    quotient = op.subtract(quotient, op.astype(_opposite(rest, right), dtype_of(left)))
    down = op.floor(quotient)
    nearest = op.add(down, op.astype(op.greater(op.subtract(quotient, down), constant(0.5, left)), dtype_of(left)))
    infinite = op.equal(right, constant(0, right))
    return op.where(infinite, op.divide(left, right), nearest)


def remainder(left: Any, right: Any) -> Any:
    """`left % right` with the sign of `right`, as Python's."""
    rest = fmod(left, right)
    return op.add(rest, op.where(_opposite(rest, right), right, constant(0, right)))


def fmod(left: Any, right: Any) -> Any:
    """Return what is left of `left` after whole `right`s, with the sign of `left`, as C's."""
    if whole(left):
        return op.subtract(left, op.multiply(_whole_quotient(left, right), right))
    if _number(right) == 0:
        return op.multiply(left, constant(math.nan, left))
    return op.mod(left, right)


def _opposite(rest: Any, divisor: Any) -> Any:
    """Where a remainder is not 0 and has the other sign than the divisor."""
    zero = constant(0, divisor)
    signs = op.not_equal(
        op.astype(op.less(rest, zero), "int8"),
        op.astype(op.less(divisor, zero), "int8"),
    )
    return op.logical_and(op.not_equal(rest, zero), signs)


def power(base: Any, exponent: Any) -> Any:
    """Raise to a power, by products where the exponent is a small whole constant."""
    number = _number(exponent)
    if isinstance(number, int) and 0 <= number <= MOST_PRODUCTS:
        return _product(base, number)
    if whole(base):
        return _whole_power(base, exponent)
    if number == 0.5:
        return op.sqrt(base)
    if number == -0.5:
        return op.rsqrt(base)
    if isinstance(number, int) and -MOST_PRODUCTS <= number < 0:
        return op.divide(constant(1, base), _product(base, -number))
    return op.power(base, exponent)


def _number(value: Any) -> int | float | None:
    """Return the number that a constant of one element holds."""
    if isinstance(value, tvm.ir.GenericConst) and value.value.numpy().size == 1:
        number: int | float = value.value.numpy().item()
        exact = (
            abs(number) < 2**31 and number == int(number) and math.copysign(1, number) == math.copysign(1, number + 0)
        )
        return int(number) if exact else number
    return None


def _product(base: Any, exponent: int) -> Any:
    """Multiply by squaring: the exponent's bits from the top."""
    if exponent == 0:
        return op.ones_like(base)
    result = base
    for bit in bin(exponent)[3:]:
        result = op.multiply(result, result)
        if bit == "1":
            result = op.multiply(result, base)
    return result


def _whole_power(base: Any, exponent: Any) -> Any:
    """Raise whole numbers, wrapping around as torch does; a negative power of what is not 1 or -1 is 0."""
    zero, one = constant(0, base), constant(1, base)
    size = exponent if dtype_of(base).startswith("u") else op.abs(exponent)
    result, square = op.ones_like(op.add(base, exponent)), base
    shape = [int(extent) for extent in base.ty.shape]
    for bit in range(EXPONENT_BITS):
        asked = op.not_equal(op.bitwise_and(size, constant(1 << bit, base)), zero)
        result = op.multiply(result, op.where(asked, square, one))
        # views end a fusion, which would write the square out twice, and so each of its own
        square = op.reshape(op.reshape(op.multiply(square, square), [math.prod(shape), 1]), shape)
    if dtype_of(base).startswith("u"):
        return result
    inverse = op.where(op.equal(op.abs(base), one), result, zero)
    return op.where(op.less(exponent, zero), inverse, result)


def maximum(left: Any, right: Any) -> Any:
    """Return the larger; of truth values, or."""
    return (op.logical_or if dtype_of(left) == "bool" else op.maximum)(left, right)


def minimum(left: Any, right: Any) -> Any:
    """Return the smaller; of truth values, and."""
    return (op.logical_and if dtype_of(left) == "bool" else op.minimum)(left, right)


def clamp(value: Any, low: Any, high: Any) -> Any:
    """Bound by numbers or tensors, or on one side only; where `low` is above `high`, `high` wins."""
    if dtype_of(value).startswith("float"):
        least = -math.inf if low is None else _number(low)
        most = math.inf if high is None else _number(high)
        if any(bound is not None and math.isnan(bound) for bound in (least, most)):
            return op.multiply(value, constant(math.nan, value))
        if least is not None and most is not None and least <= most:
            return op.clip(value, least, most)
    truth = dtype_of(value) == "bool"
    if low is not None:
        value = (op.logical_or if truth else op.maximum)(value, low)
    return value if high is None else (op.logical_and if truth else op.minimum)(value, high)


def clamp_below(value: Any, low: Any) -> Any:
    """Bound from below."""
    return clamp(value, low, None)


def clamp_above(value: Any, high: Any) -> Any:
    """Bound from above."""
    return clamp(value, None, high)


def shift_left(value: Any, bits: Any) -> Any:
    """`value << bits`."""
    return op.left_shift(value, bits)


def shift_right(value: Any, bits: Any) -> Any:
    """`value >> bits`, the sign kept."""
    return op.right_shift(value, bits)


def bitwise_not(value: Any) -> Any:
    """`~value`; of truth values, not."""
    return (op.logical_not if dtype_of(value) == "bool" else op.bitwise_not)(value)


def reciprocal(value: Any) -> Any:
    """`1 / value`."""
    return op.divide(constant(1, value), value)


def differ(left: Any, right: Any) -> Any:
    """`left != right`; of a tensor and itself, where it is not a number, which TVM takes for nowhere."""
    return op.isnan(left) if left.same_as(right) and dtype_of(left).startswith("float") else op.not_equal(left, right)


def compared(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a comparison that takes truth values as 0 and 1."""

    def compute(left: Any, right: Any) -> Any:
        if dtype_of(left) == "bool":
            left, right = op.astype(left, "int8"), op.astype(right, "int8")
        return compare(left, right)

    return compute


def where(node: Any, importer: Any) -> Any:
    """Convert `where(condition, self, other)`: the two values in their common dtype.

    A tensor that is one number all over is that number: as a tensor it would be kept among the weights.
    """
    given = Arguments.of(node, importer)
    first, *others = list(given.nodes)[:3]
    condition = given.cast(given[first], "bool")
    values = []
    for name in others:
        number = _filling(given.nodes[name])
        values.append(given.cast(given[name] if number is None else number, given.dtype))
    result = given.emit(op.where(condition, *values))
    same = [int(extent) for extent in result.ty.shape] == given.shape
    return result if same else given.emit(op.broadcast_to(result, given.shape))


def _filling(node: Any) -> Any:
    """Return the number that a node fills a tensor with; None for what is no such node."""
    name = getattr(getattr(node, "target", None), "__name__", "")
    if name in ("full_like.default", "full.default") and isinstance(node.args[1], (bool, int, float)):
        return node.args[1]
    return {"zeros_like.default": 0, "ones_like.default": 1}.get(name)


def to_dtype(node: Any, importer: Any) -> Any:
    """Convert `_to_copy`: another dtype, or nothing."""
    given = Arguments.of(node, importer)
    return given.cast(given["self"], given.dtype)
