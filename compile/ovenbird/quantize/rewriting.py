"""Writes quantize and dequantize into a network of floats: the form that `passes.quantized.form` describes.

module = quantized_module(module, points, calibration)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import IRModule, relax

from ovenbird.operators.bfloat16.numbers import bits, widened
from ovenbird.passes.quantized.form import levels, reals, weight
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of
from ovenbird.quantize.calibration.ranges import LevelRange
from ovenbird.quantize.graph import is_constant
from ovenbird.quantize.points import CONVOLUTIONS, Points
from ovenbird.quantize.rewriter import Rewriter
from ovenbird.quantize.rounding.weights import (
    WeightLevels,
    convolution_correction,
    product_correction,
    quantize_weight,
    weight_error,
)
from ovenbird_runtime.tensors.arrays import Array


@dataclass(frozen=True)
class Calibration:
    """What calibration gave, in the order of `Points.roots`."""

    ranges: tuple[LevelRange, ...]
    means: tuple[Array, ...]
    """Each channel's mean."""
    weights: tuple[WeightLevels, ...] = ()
    """In the order of `Points.layers`; none: the nearest levels of all."""


def quantized_module(module: IRModule, points: Points, calibration: Calibration) -> IRModule:
    """Return the module with whole numbers at the points; `points` are of this very module."""
    return Quantizing(module, points, calibration).run()


class Quantizing(Rewriter):
    """Writes one module anew."""

    def __init__(self, module: IRModule, points: Points, calibration: Calibration) -> None:
        super().__init__(module)
        self.points = points
        self.ranges = dict(zip(points.roots, calibration.ranges, strict=True))
        self.means = dict(zip(points.roots, calibration.means, strict=True))
        self.layers = set(points.layers) - points.floats
        self.weights = dict(zip(points.layers, calibration.weights, strict=True)) if calibration.weights else {}
        self.real: dict[relax.Var, relax.Expr] = {}
        """For each tensor that is quantized: its numbers after that, as floats."""
        self.lost: dict[relax.Var, Array] = {}
        """For each layer, what each channel of its results lost by its weights' rounding."""

    def rewrite(self, var: relax.Var, value: relax.Expr) -> relax.Expr:
        """Return what a variable is to be bound to, its operands quantized where they are to be."""
        if not isinstance(value, relax.Call):
            return self.substituted(value)
        corrected = self._corrected_bias(value)
        if corrected is not None:
            return corrected
        operands = [self._operand(var, index, operand) for index, operand in enumerate(self._flat(value))]
        if var in self.layers:
            operands[1] = self.emit(self._weight(var, value))
        elif var in self.points.rounded:
            operands[1] = relax.const(widened(bits(array_of(value.args[1]))))
        call = relax.Call(value.op, self._nested(value, operands), value.attrs, value.ty_args)
        if var in self.lost and not any(self._adds_bias(reader) for reader, _ in self.graph.readers.get(var, [])):
            lost = self.lost[var].astype(np.float32)
            column = lost.reshape(1, -1, *[1] * (len(static_shape(var) or ()) - 2)) if self._convolves(var) else lost
            return relax.op.add(self.emit(call), relax.const(column, "float32"))
        return call

    def _convolves(self, var: relax.Var) -> bool:
        return self.graph.name(var) in CONVOLUTIONS

    def _adds_bias(self, var: relax.Var) -> bool:
        return self.graph.name(var) == "relax.add" and any(map(is_constant, self.graph.definitions[var].args))

    def _operand(self, var: relax.Var, index: int, operand: relax.Expr) -> relax.Expr:
        """Return an operand, quantized where it is to be."""
        source = self.points.uses.get((var, index))
        if source is None:
            return self.substituted(operand)
        if source not in self.real:
            chosen = self.ranges[self.points.root_of[source]]
            quantized = self.emit(levels(self.new[source], chosen.scale, chosen.zero))
            self.real[source] = self.emit(reals(quantized, chosen.scale, chosen.zero))
        return self.real[source]

    def _weight(self, var: relax.Var, call: relax.Call) -> relax.Expr:
        array = array_of(call.args[1])
        convolves = call.op.name in CONVOLUTIONS
        axis = 0 if convolves else array.ndim - 1
        whole, scale = self.weights[var] if self.weights else quantize_weight(array, axis)
        source = self.points.uses.get((var, 0))
        if source is not None:
            error = weight_error(array, whole, scale, axis)
            means = self._means_of(source, array.shape[1] * int(call.attrs.groups) if convolves else array.shape[0])
            if means is not None:
                groups = int(call.attrs.groups) if convolves else 1
                self.lost[var] = (
                    convolution_correction(error, means, groups) if convolves else product_correction(error, means)
                )
        return weight(whole, scale, axis)

    def _means_of(self, source: relax.Var, channels: int) -> Array | None:
        """Return the means of what a layer multiplies, one a channel; None where other channels were seen."""
        root = self.points.root_of[source]
        means = self.means[root]
        same = root is source or len(static_shape(root) or ()) == len(static_shape(source) or ())
        flattened = (static_shape(root) or ())[2:] in ((1, 1), ())
        return means if len(means) == channels and (same or flattened) else None

    def _corrected_bias(self, call: relax.Call) -> relax.Expr | None:
        """Return the sum of a layer's results and its bias, with what the results lost; None for any other call."""
        if getattr(call.op, "name", "") != "relax.add":
            return None
        for left, right in (call.args, list(call.args)[::-1]):
            if left in self.lost and is_constant(right):
                array, shape = array_of(right), static_shape(left) or ()
                axis = 1 if self.graph.name(left) in CONVOLUTIONS else len(shape) - 1
                lost = self.lost[left]
                place = [-1 if at == axis else 1 for at in range(len(shape))]
                whole = array.reshape((1,) * (len(shape) - array.ndim) + array.shape).astype(np.float64)
                bias = (whole + lost.reshape(place)).astype(np.float32)
                if axis == len(shape) - 1 and bias.size == lost.size:
                    bias = bias.reshape(-1)
                return relax.op.add(self.new[left], relax.const(np.ascontiguousarray(bias), "float32"))
        return None

    @staticmethod
    def _flat(call: relax.Call) -> list[relax.Expr]:
        found: list[relax.Expr] = []
        for argument in call.args:
            found += list(argument.fields) if isinstance(argument, relax.Tuple) else [argument]
        return found

    @staticmethod
    def _nested(call: relax.Call, operands: list[relax.Expr]) -> list[relax.Expr]:
        rest = iter(operands)
        return [
            relax.Tuple([next(rest) for _ in argument.fields]) if isinstance(argument, relax.Tuple) else next(rest)
            for argument in call.args
        ]
