"""Folds inference batch norms into constants: into the convolution before, or into one multiply and one add.

y = (x - mean) / sqrt(variance + epsilon) * gamma + beta  (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167)
is x * scale + shift with constant scale and shift; behind a convolution without other users the scale goes into its
weights. Computed in float64, stored in the network's dtype.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from ovenbird_runtime.tensors.arrays import Array


def scale_and_shift(call: relax.Call) -> tuple[Array, Array] | None:
    """Return the (scale, shift) of a `relax.nn.batch_norm` call with constant parameters, each [C]; None otherwise."""
    parameters = call.args[1:5]
    if not all(isinstance(p, tvm.ir.GenericConst) for p in parameters):
        return None
    gamma, beta, mean, variance = (p.value.numpy().astype(np.float64) for p in parameters)
    if not int(call.attrs.scale):
        gamma = np.ones_like(gamma)
    if not int(call.attrs.center):
        beta = np.zeros_like(beta)
    scale = gamma / np.sqrt(variance + float(call.attrs.epsilon))
    return scale, beta - mean * scale


def norm_behind(reader: relax.Call | None) -> tuple[Array, Array] | None:
    """Return the (scale, shift) of the batch norm that is a convolution's only reader; None where another call is."""
    if reader is None or getattr(reader.op, "name", "") != "relax.nn.batch_norm":
        return None
    return scale_and_shift(reader)


def scaled_weight(weight: Array, scale: Array) -> Array:
    """Return an OIHW weight with each output channel multiplied by its scale."""
    scaled: Array = (weight.astype(np.float64) * scale[:, None, None, None]).astype(weight.dtype)
    return scaled
