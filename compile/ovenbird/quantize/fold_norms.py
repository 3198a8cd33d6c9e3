"""Folds batch norms into the weights and biases before them, so that what is quantized is what is multiplied.

    module, norms = fold_norms(module)       # a prepared module of floats; what its norms remember

y = conv(x, w) + b, normed: conv(x, w * scale) + (b * scale + shift). Where no convolution without other readers stands
before one, it is a multiplication and an addition. Computed in float64 (`passes.fold_batch_norm`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import IRModule, relax

from ovenbird.passes.fold_batch_norm import scale_and_shift
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of
from ovenbird.quantize.distilling import NormStatistics
from ovenbird.quantize.graph import is_constant
from ovenbird.quantize.points import CONVOLUTIONS
from ovenbird.quantize.rewriter import Rewriter
from ovenbird_runtime.tensors.arrays import Array

NORM = "relax.nn.batch_norm"


def fold_norms(module: IRModule) -> tuple[IRModule, dict[str, NormStatistics]]:
    """Return the module without batch norms of constant parameters, and what those remember of their results, by the
    name of the variable that holds them.
    """
    folding = _Folding(module)
    return folding.run(), folding.norms


class _Folding(Rewriter):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self.norms: dict[str, NormStatistics] = {}

    def rewrite(self, var: relax.Var, value: relax.Expr) -> relax.Expr:
        if not isinstance(value, relax.TupleGetItem) or int(value.index) != 0:
            return self.substituted(value)
        norm: Any = self.graph.definitions.get(value.tuple_value)
        if getattr(getattr(norm, "op", None), "name", "") != NORM:
            return self.substituted(value)
        found = scale_and_shift(norm)
        if found is None:
            return self.substituted(value)
        folded = self.emit(self._folded(norm, *found))
        statistics = NormStatistics.of(norm)
        if statistics is not None:
            self.norms[folded.name] = statistics
        return folded

    def _folded(self, norm: relax.Call, scale: Array, shift: Array) -> relax.Expr:
        """Return what a norm computes without it."""
        data = norm.args[0]
        layer, bias = self._layer_before(data)
        if layer is None:
            rank, axis = len(static_shape(data) or ()), int(norm.attrs.axis)
            place = [-1 if at == axis % rank else 1 for at in range(rank)]
            scaled = relax.op.multiply(self.substituted(data), _constant(scale.reshape(place)))
            return relax.op.add(self.emit(scaled), _constant(shift.reshape(place)))
        weight = array_of(layer.args[1]).astype(np.float64)
        place = [-1] + [1] * (weight.ndim - 1)
        call = relax.Call(
            layer.op,
            [self.substituted(layer.args[0]), _constant(weight * scale.reshape(place))],
            layer.attrs,
            layer.ty_args,
        )
        shifted = shift if bias is None else bias * scale + shift
        return relax.op.add(self.emit(call), _constant(shifted.reshape([1, -1] + [1] * (weight.ndim - 2))))

    def _layer_before(self, data: relax.Expr) -> tuple[Any, Array | None]:
        """Return the convolution that a norm alone reads, and its bias in float64; None where there is none."""
        call, bias = self._alone(data), None
        if call is not None and call.op.name == "relax.add":
            left, right = call.args
            inner = self._alone(left)
            if inner is None or not is_constant(right):
                return None, None
            bias = channels_of(array_of(right), static_shape(data) or ())
            if bias is None:
                return None, None
            call = inner
        if call is None or call.op.name not in CONVOLUTIONS or not is_constant(call.args[1]):
            return None, None
        plain = str(call.attrs.kernel_layout).startswith("OI") and str(call.attrs.data_layout).startswith("NC")
        return (call, bias) if plain else (None, None)

    def _alone(self, var: relax.Expr) -> Any:
        """Return the call that makes a variable with one reader; None for any other."""
        if not isinstance(var, relax.Var) or len(self.graph.readers.get(var, [])) != 1 or var in self.graph.outputs:
            return None
        call = self.graph.definitions.get(var)
        return call if hasattr(getattr(call, "op", None), "name") else None


def channels_of(array: Array, shape: tuple[int, ...]) -> Array | None:
    """Return what is added to images as one number a channel, in float64; None where it is something else."""
    whole = (1,) * (len(shape) - array.ndim) + array.shape
    if len(whole) != len(shape) or any(extent != 1 for at, extent in enumerate(whole) if at != 1):
        return None
    return np.broadcast_to(array.reshape(-1).astype(np.float64), (shape[1],))


def _constant(array: Array) -> relax.Expr:
    return relax.const(np.ascontiguousarray(array.astype(np.float32)), "float32")
