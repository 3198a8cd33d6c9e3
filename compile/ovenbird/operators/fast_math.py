"""exp, sigmoid, tanh and erf in float32 as polynomials that run a whole vector at a time.

TVM lowers these intrinsics to calls into the C library, one lane after the other. The rules here replace that for the
"llvm" target wherever an intrinsic stands on float32 (scalar or vector), so that sigmoid, SiLU, softmax and GELU, which
are written with them, are fast too; other types keep TVM's lowering.

Every function returns NaN for NaN, and the right limit for an infinity. Bounds, measured over the whole range by
tests/unit/compile/operators/test_fast_math.py: exp, sigmoid and tanh 1.5e-7 relative, erf 3.5e-7.

Example: after `register_fast_math()`, `tirx.exp(x)` compiles to about 20 vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import tvm
from tvm import tirx

Expr = Any

ROUNDING_SHIFT = 12582912.0
"""Adding 1.5 * 2**23 to a float of less than 2**22 leaves its nearest integer in the low bits of the sum."""

SHIFT_BITS = 0x4B400000

LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286067653e-6
"""ln 2 in two parts; the first has so few bits that its product with any exponent is exact (Cody & Waite 1980)."""

EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
"""exp(r) = 1 + r + r**2 p(r) on |r| <= ln 2 / 2; Cephes `expf` (Moshier, https://www.netlib.org/cephes/)."""

EXP_RANGE = (-104.5, 89.0)
"""Beyond these exp is infinite or rounds to zero."""

SIGMOID_RANGE = (-86.0, 89.0)
"""From an exp whose half is made of a normal power of two to one that is infinite."""

TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
"""tanh(x) = x + x**3 p(x**2) up to the limit, 1 - 2 / (exp(2 x) + 1) beyond; Cephes `tanhf`."""

TANH_LIMIT = 0.625

ERF_ABOVE = (2.2905065861e-4, 3.4082910107e-3, 5.0955695062e-2, 0.18520832239976145, 1.128379143519084)
ERF_BELOW = (-1.1791602954e-7, 2.3547966471e-5, 1.0179625279e-3, 1.4070470171e-2, 0.11098505178, 0.49746925110, 1.0)
"""erf(x) = x p(x**2) / q(x**2) up to the limit, from where on it is 1 in float32; the fraction of Eigen's `erf`."""

ERF_LIMIT = 3.832506856900711


def constant(value: float, like: Expr) -> Expr:
    """Return a float constant of the type of `like`, in every lane."""
    return tirx.const(value, like.ty.dtype)


def named(name: str, value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """`body` of a variable that holds `value`: computed once however often it is used."""
    variable = tirx.Var(name, value.ty.dtype)
    return tirx.Let(variable, value, body(variable))


def horner(coefficients: Sequence[float], x: Expr) -> Expr:
    """Return the polynomial with `coefficients`, highest power first."""
    result = constant(coefficients[0], x)
    for coefficient in coefficients[1:]:
        result = result * x + constant(coefficient, x)
    return result


def clamp(x: Expr, low: float, high: float) -> Expr:
    """`x` within [low, high]. A comparison with NaN is false, then both give their second operand, which is `x`.

    `x` is named once: TVM puts what a variable holds in its place where it looks at the next one's, so that the names
    below one another multiply, to half a minute for tanh(log(1 + exp(x))).
    """
    return tirx.Max(constant(low, x), tirx.Min(constant(high, x), x))


def power_of_two(exponent: Expr) -> Expr:
    """2**exponent of an int32 from -126 to 127."""
    integer = exponent.ty.dtype
    bits = (exponent + tirx.const(127, integer)) << tirx.const(23, integer)
    return tirx.reinterpret(integer.replace("int32", "float32"), bits)


def exp(x: Expr) -> Expr:
    """exp(x) = 2**n exp(x - n ln 2), the power as a product of two that are both normal numbers."""

    def scaled(fraction: Expr, n: Expr) -> Expr:
        return named(
            "half",
            n >> tirx.const(1, n.ty.dtype),
            lambda half: fraction * power_of_two(half) * power_of_two(n - half),
        )

    return exp_within(x, EXP_RANGE, scaled)


def exp_within(x: Expr, limits: tuple[float, float], scaled: Callable[[Expr, Expr], Expr]) -> Expr:
    """exp(x) held between the limits: `scaled` multiplies exp(x - n ln 2) by 2**n."""
    integer = x.ty.dtype.replace("float32", "int32")

    def of_clamped(x: Expr) -> Expr:
        return named(
            "shifted",
            x * constant(1.4426950408889634, x) + constant(ROUNDING_SHIFT, x),
            lambda shifted: named(
                "rounded",
                shifted - constant(ROUNDING_SHIFT, x),
                lambda n: named(
                    "r",
                    x - n * constant(LN2_HIGH, x) - n * constant(LN2_LOW, x),
                    lambda r: named(
                        "n",
                        tirx.reinterpret(integer, shifted) - tirx.const(SHIFT_BITS, integer),
                        lambda n: scaled(horner(EXP, r) * (r * r) + r + constant(1.0, x), n),
                    ),
                ),
            ),
        )

    return named("x", clamp(x, *limits), of_clamped)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x)), whose exp may be held where adding it to 1 changes nothing: one power of two will do."""

    def scaled(fraction: Expr, n: Expr) -> Expr:
        return (fraction + fraction) * power_of_two(n - tirx.const(1, n.ty.dtype))

    one = constant(1.0, x)
    return one / (one + exp_within(-x, SIGMOID_RANGE, scaled))


def tanh(x: Expr) -> Expr:
    """tanh(x): a polynomial near zero, by exp beyond."""

    def of(x: Expr) -> Expr:
        square, size = x * x, tirx.abs(x)
        near = horner(TANH, square) * square * x + x
        far = constant(1.0, x) - constant(2.0, x) / (exp(size + size) + constant(1.0, x))
        return tirx.Select(size < constant(TANH_LIMIT, x), near, with_sign(far, x))

    return named("argument", x, of)


def erf(x: Expr) -> Expr:
    """erf(x): a fraction of two polynomials, held within one, which rounding passes."""

    def of(x: Expr) -> Expr:
        square = x * x
        return clamp(x * horner(ERF_ABOVE, square) / horner(ERF_BELOW, square), -1.0, 1.0)

    return named("argument", clamp(x, -ERF_LIMIT, ERF_LIMIT), of)


def with_sign(size: Expr, x: Expr) -> Expr:
    """`size` with the sign of `x`; `size` where `x` is NaN."""
    return tirx.Select(x < constant(0.0, x), -size, size)


def register(name: str, function: Callable[[Expr], Expr]) -> None:
    """Lower the intrinsic `tirx.<name>` on float32 by `function`; other types keep the lowering they had."""
    operator = tvm.ir.Op.get(f"tirx.{name}")
    fallback = operator.get_attr("llvm.FLowerIntrinsic") or operator.get_attr("default.FLowerIntrinsic")

    def lower(call: Expr) -> Expr:
        float32 = call.ty.dtype.split("x")[0] == "float32"
        return function(call.args[0]) if float32 else fallback(call)

    tirx.op.register_intrin_lowering(f"tirx.{name}", target="llvm", f=lower, level=99)


@cache
def register_fast_math() -> None:
    """Register the functions with TVM's code generator for processors, once."""
    for name, function in (("exp", exp), ("sigmoid", sigmoid), ("tanh", tanh), ("erf", erf)):
        register(name, function)
    # TVM says so of the others; a loop with erf it would write lane by lane, and LLVM joins lanes of no fenced product.
    tvm.ir.register_op_attr("tirx.erf", "TVectorizable", True)
