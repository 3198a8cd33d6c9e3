"""Functions of one or two numbers that Relax lacks, or that it loses digits or special values of."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.arithmetic import constant, fmod, maximum, minimum, remainder, whole
from ovenbird.networks.torch.converters.converter import Arguments, Converter, dtype_of
from ovenbird.networks.torch.converters.pointwise import pointwise
from ovenbird.networks.torch.converters.refusals import CHANCE

op = relax.op


def exp2(value: Any) -> Any:
    """Return 2 to the power of `value`."""
    return op.power(constant(2, value), value)


def expm1(value: Any) -> Any:
    """Return `exp(value) - 1` with the digits of small values (Kahan): `(u - 1) * value / log(u)`."""
    return _less_one(value, value)


def _less_one(value: Any, like: Any) -> Any:
    one = constant(1, like)
    grown = op.exp(value)
    less = op.subtract(grown, one)
    near = op.divide(op.multiply(less, value), op.log(grown))
    return op.where(op.equal(less, constant(0, like)), value, op.where(op.greater(op.abs(value), one), less, near))


def elu(value: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    """Return `scale * value` above 0, `scale * alpha * (exp(input_scale * value) - 1)` below."""
    zero = constant(0, value)
    below = op.minimum(op.multiply(value, constant(input_scale, value)), zero)
    below = op.multiply(op.subtract(op.exp(below), constant(1, value)), constant(alpha * scale, value))
    above = value if scale == 1 else op.multiply(value, constant(scale, value))
    return op.where(op.greater(value, zero), above, below)


def soft_shrink(value: Any, lambd: float = 0.5) -> Any:
    """Move a value by `lambd` towards 0, at most to it; torch's own definition makes 0 of what is no number."""
    limit, zero = constant(lambd, value), constant(0, value)
    near = op.less_equal(op.abs(value), limit)
    toward = op.where(op.greater(value, zero), op.subtract(value, limit), op.add(value, limit))
    return op.where(near, zero, toward)


def log1p(value: Any) -> Any:
    """Return `log(1 + value)` with the digits of small values (Kahan): `log(u) * value / (u - 1)`."""
    grown = op.add(value, constant(1, value))
    more = op.subtract(grown, constant(1, value))
    near = op.divide(op.multiply(op.log(grown), value), more)
    far = op.logical_not(op.less(op.abs(value), constant(1, value)))
    return op.where(op.equal(more, constant(0, value)), value, op.where(far, op.log(grown), near))


def log2(value: Any) -> Any:
    """Return the logarithm to base 2; of powers of 2 exact, for the level of a pyramid is its floor."""
    return _logarithm(value, 2)


def log10(value: Any) -> Any:
    """Return the logarithm to base 10; of powers of 10 exact."""
    return _logarithm(value, 10)


def _logarithm(value: Any, base: int) -> Any:
    found = op.multiply(op.log(value), constant(1 / math.log(base), value))
    nearest = op.round(found)
    return op.where(op.equal(op.power(constant(base, value), nearest), value), nearest, found)


def larger_number(left: Any, right: Any) -> Any:
    """`fmax`: the larger, or the one that is a number."""
    if whole(left) or dtype_of(left) == "bool":
        return maximum(left, right)
    return _chosen(left, right, op.maximum(left, right))


def smaller_number(left: Any, right: Any) -> Any:
    """`fmin`: the smaller, or the one that is a number."""
    if whole(left) or dtype_of(left) == "bool":
        return minimum(left, right)
    return _chosen(left, right, op.minimum(left, right))


def _chosen(left: Any, right: Any, both: Any) -> Any:
    return op.where(op.isnan(left), right, op.where(op.isnan(right), left, both))


def sign(value: Any) -> Any:
    """-1, 0 or 1; 0 where the value is not a number."""
    if dtype_of(value) == "bool":
        return value
    zero = constant(0, value)
    above = op.astype(op.greater(value, zero), dtype_of(value))
    if dtype_of(value).startswith("u"):
        return above
    return op.subtract(above, op.astype(op.less(value, zero), dtype_of(value)))


def sign_bit(value: Any) -> Any:
    """Return whether the value is negative, -0.0 too."""
    if dtype_of(value).startswith(("u", "bool")):
        return _nowhere(value)
    below = op.less(value, constant(0, value))
    if whole(value):
        return below
    zero = op.equal(value, constant(0, value))
    return op.logical_or(below, op.logical_and(zero, op.less(op.divide(constant(1, value), value), constant(0, value))))


def hypotenuse(left: Any, right: Any) -> Any:
    """Return the root of the sum of two squares, none of which overflows."""
    one, two = op.abs(left), op.abs(right)
    long, short = op.maximum(one, two), op.minimum(one, two)
    ratio = op.divide(short, long)
    found = op.multiply(long, op.sqrt(op.add(constant(1, left), op.multiply(ratio, ratio))))
    plain = op.logical_or(op.equal(long, constant(0, left)), op.equal(long, constant(math.inf, left)))
    return op.where(plain, long, found)


def cosh(value: Any) -> Any:
    """Return the hyperbolic cosine."""
    half = constant(0.5, value)
    return op.add(op.multiply(half, op.exp(value)), op.multiply(half, op.exp(op.negative(value))))


def sinh(value: Any) -> Any:
    """Return the hyperbolic sine, with the digits of small values."""
    half = constant(0.5, value)
    grown = _less_one(op.abs(value), value)
    near = op.multiply(half, op.add(grown, op.divide(grown, op.add(grown, constant(1, value)))))
    far = op.multiply(half, op.exp(op.abs(value)))
    size = op.where(op.greater(op.abs(value), constant(10, value)), far, near)
    return op.where(op.less(value, constant(0, value)), op.negative(size), size)


def copy_sign(value: Any, other: Any) -> Any:
    """Return the size of `value` with the sign of `other`."""
    size = op.abs(value)
    return op.where(sign_bit(other), op.negative(size), size)


def is_nan(value: Any) -> Any:
    """Return whether the value is not a number, as a whole one never is."""
    return _nowhere(value) if _exact(value) else op.isnan(value)


def is_infinite(value: Any) -> Any:
    """Return whether the value is infinite, as a whole one never is."""
    return _nowhere(value) if _exact(value) else op.isinf(value)


def is_finite(value: Any) -> Any:
    """Return whether the value is a number and not infinite."""
    return op.logical_not(_nowhere(value)) if _exact(value) else op.isfinite(value)


def _exact(value: Any) -> bool:
    return whole(value) or dtype_of(value) == "bool"


def _nowhere(value: Any) -> Any:
    return op.zeros(value.ty.shape, "bool")


def absolute(value: Any) -> Any:
    """Return the size of a value; of truth values and of unsigned ones, the value."""
    return value if dtype_of(value).startswith(("u", "bool")) else op.abs(value)


def negative(value: Any) -> Any:
    """Return `-value`, which wraps around where it is unsigned."""
    return op.subtract(constant(0, value), value) if dtype_of(value).startswith("u") else op.negative(value)


def rounded(round_floats: Any) -> Any:
    """Return a rounding that leaves whole numbers as they are."""
    return lambda value: value if _exact(value) else round_floats(value)


def erf_complement(value: Any) -> Any:
    """Return `1 - erf(value)`."""
    return op.subtract(constant(1, value), op.erf(value))


def random_slope(node: Any, importer: Any) -> Any:
    """Convert `rrelu`: outside of training the slope is the mean of those that it draws."""
    given = Arguments.of(node, importer)
    if given["training"]:
        raise UnsupportedOperator(CHANCE)
    value, noise = given["self"], given["noise"]
    slope = constant((given["lower"] + given["upper"]) / 2, value)
    below = given.emit(op.multiply(value, slope))
    return relax.Tuple([given.emit(op.where(op.greater(value, constant(0, value)), value, below)), noise])


def functions() -> dict[str, Converter]:
    """Return the converters; torch's own primitives have the names of its operators."""
    same = {
        "abs": absolute,
        "ceil": rounded(op.ceil),
        "floor": rounded(op.floor),
        "neg": negative,
        "round": rounded(op.round),
        "sign": sign,
        "trunc": rounded(op.trunc),
    }
    of_floats = {
        "cosh": cosh,
        "erfc": erf_complement,
        "exp2": exp2,
        "expm1": expm1,
        "log10": log10,
        "log1p": log1p,
        "log2": log2,
        "sinh": sinh,
    }
    truths = {"isfinite": is_finite, "isinf": is_infinite, "isnan": is_nan, "signbit": sign_bit}
    return {
        **{f"{name}.default": pointwise(compute, 1) for name, compute in same.items()},
        **{f"{name}.default": pointwise(compute, 1, "INT_TO_FLOAT") for name, compute in of_floats.items()},
        **{f"{name}.default": pointwise(compute, 1, "ALWAYS_BOOL") for name, compute in truths.items()},
        "copysign.Scalar": pointwise(copy_sign, 2, "INT_TO_FLOAT"),
        "copysign.Tensor": pointwise(copy_sign, 2, "INT_TO_FLOAT"),
        "elu.default": pointwise(elu, 1),
        "fmax.default": pointwise(larger_number, 2),
        "fmin.default": pointwise(smaller_number, 2),
        "fmod.default": pointwise(fmod, 2),
        "hypot.default": pointwise(hypotenuse, 2),
        "remainder.default": pointwise(remainder, 2),
        "rrelu_with_noise_functional.default": random_slope,
        "softshrink.default": pointwise(soft_shrink, 1),
    }
