"""Sums of products of levels that wait for what follows: bias, residual, clamp, quantization end their kernel.

    conv2d(dequantize(q), dequantize(w)) + bias + dequantize(r), relu, quantize      one kernel, uint8 to uint8

Each step is taken in as the walk comes to it. What does not fit has the sums emitted as floats, and fuses as any float
operator does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax

from ovenbird.lowering.operators.own import reshaped
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import OUT_ELEMENTWISE_FUSABLE, Lowered
from ovenbird.operators.quantized.packing import pack_terms
from ovenbird.operators.quantized.rounding import LEVELS, held_range
from ovenbird.operators.quantized.sums import Finish
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    from ovenbird.backends.cpu.lowering.context import CpuLowering
    from ovenbird.lowering.blocked import BlockedForm


INT32 = float(2**31)


@dataclass(frozen=True)
class Sums:
    """A product of levels and weights. `scale`, `bias`: float64 [O], in the units of the result.

    `operator(*tensors, *terms, how=Finish)` is the tensor expression, `shape` that of its plain result. `correction`:
    int32 [O], what the data's zero adds to each sum, None for a zero of 0. `low`, `high`: the clamp.
    """

    name: str
    operator: Callable[..., Any]
    tensors: tuple[relax.Expr, ...]
    image: bool
    shape: tuple[int, ...]
    correction: Array | None
    scale: Array
    bias: Array | None = None
    residual: Value | None = None
    low: float = -math.inf
    high: float = math.inf

    @property
    def clamped(self) -> bool:
        """Return whether the result is held in a range: nothing is added behind that."""
        return not (math.isinf(self.low) and math.isinf(self.high))

    def emit(self, form: BlockedForm) -> relax.Expr:
        """Emit the sums as floats."""
        return self._emitted(form, 1.0, None)

    def emit_levels(self, form: BlockedForm, shape: tuple[int, ...], scale: float, zero: int) -> Value:
        """Emit the sums as levels of a grid, as a value of `shape`."""
        result = self._emitted(form, scale, zero)
        if self.image:
            return Value(shape, "uint8", image=result)
        return Value(shape, "uint8", plain=reshaped(form, result, shape))

    def _emitted(self, form: BlockedForm, scale: float, zero: int | None) -> relax.Expr:
        terms = [] if self.correction is None else [self.correction]
        terms.append((self.scale / scale).astype(np.float32))
        if self.bias is not None:
            terms.append((self.bias / scale).astype(np.float32))
        tensors = [*self.tensors, *(relax.const(pack_terms(term, form.block)) for term in terms)]
        added = None
        if self.residual is not None and self.residual.levels is not None:
            levels = self.residual.levels
            image = form.image(levels.value) if self.image else reshaped(form, form.plain(levels.value), self.shape)
            tensors.append(image)
            added = (float(np.float32(float(levels.scale) / scale)), levels.zero)
        low, high = (self.low, self.high) if zero is None else held_range(self.low, self.high, scale, zero)
        how = Finish(
            self.correction is not None, self.bias is not None, added, low, high, zero, self._small(scale, added)
        )
        return form.builder.emit_te(
            lambda *arguments: self.operator(*arguments, how=how),
            *tensors,
            primfunc_name_hint=self.name,
            primfunc_attrs={"op_pattern": OUT_ELEMENTWISE_FUSABLE},
        )

    def _small(self, scale: float, added: tuple[float, int] | None) -> bool:
        """Return whether results in units of `scale` stay within int32, for any sums in int32."""
        most = np.abs(self.scale / scale) * INT32
        if self.bias is not None:
            most = most + np.abs(self.bias / scale)
        return float(np.max(most)) + (abs(added[0]) * LEVELS if added else 0.0) < INT32 / 2


def pending(sums: Sums, shape: tuple[int, ...]) -> Value:
    """Return the value of sums that nobody has asked for."""
    return Value(shape, "float32", pending=sums)


def add_to_sums(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower the addition of a bias or a residual to sums that wait for it."""
    values = [lowering.value(arg) for arg in call.args]
    for value, other in (values, reversed(values)):
        sums = value.pending
        if not isinstance(sums, Sums) or sums.clamped or static_shape(call) != value.shape:
            continue
        if other.constant is not None:
            bias = bias_of(other.constant, value.shape, sums.image)
            if bias is not None:
                whole = bias if sums.bias is None else sums.bias + bias
                return pending(dataclasses.replace(sums, bias=whole), value.shape)
        elif other.levels is not None and other.shape == value.shape and sums.residual is None:
            return pending(dataclasses.replace(sums, residual=other), value.shape)
    return None


def bias_of(constant: Array, shape: tuple[int, ...], image: bool) -> Array | None:
    """Return a constant that is added to each output channel as float64 [O]; None if it is none."""
    place = 1 if image else len(shape) - 1
    channels = shape[place]
    if constant.size == 1:
        return np.full(channels, constant.reshape(()), np.float64)
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    if aligned != tuple(channels if axis == place else 1 for axis in range(len(shape))):
        return None
    return constant.reshape(-1).astype(np.float64)


def clamp_sums(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower relu, relu6 and clip of sums that wait for it."""
    value, bounds = lowering.value(call.args[0]), clamp_of(call)
    sums = value.pending
    if bounds is None or not isinstance(sums, Sums):
        return None
    low, high = max(sums.low, bounds[0]), min(sums.high, bounds[1])
    return pending(dataclasses.replace(sums, low=low, high=high), value.shape) if low <= high else None


def clamp_of(call: relax.Call) -> tuple[float, float] | None:
    """Return what an operator holds its input in."""
    if call.op.name == "relax.nn.relu":
        return 0.0, math.inf
    if call.op.name == "relax.nn.relu6":
        return 0.0, 6.0
    low, high = (getattr(bound, "value", bound) for bound in call.args[1:3])
    low, high = (getattr(bound, "value", bound) for bound in (low, high))
    return (float(low), float(high)) if isinstance(low, (int, float)) and isinstance(high, (int, float)) else None
