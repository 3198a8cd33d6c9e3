"""Which tensor of a network that came quantized loses the most by its scale: what to look at where answers disagree.

    coarsest_tensor(module, rows)        # "the 3rd of 17 quantized tensors, [1, 64, 56, 56] by scale 0.02 (12.3 dB)"

What is quantized is observed as the network runs, and compared with what its levels say of it: a range that cuts, or a
step too wide for what is there, is noise. None of it needs the network of floats that it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from tvm import IRModule

from ovenbird.lowering.pipeline import prepare
from ovenbird.passes.quantized.form import QUANTIZE
from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.calibration.ranges import LEVELS, LevelRange
from ovenbird.quantize.graph import Graph, is_constant
from ovenbird.quantize.noise import decibels
from ovenbird_runtime.tensors.arrays import Array

RELU6 = 6.0
SHOWN = 4
"""Rows that are enough to find it."""


def coarsest_tensor(module: IRModule, rows: Iterable[Sequence[Array]]) -> str:
    """Run a module of one row on the rows; return the tensor in words, "" where none has constant levels of uint8.

    Raises BuildFailed.
    """
    floats = prepare(module)
    graph = Graph.of(floats["main"])
    calls: list[Any] = [graph.definitions[var] for var in graph.order if graph.name(var) == QUANTIZE]
    found = [call for call in calls if _has_levels(call)]
    if not found:
        return ""
    ranges = [LevelRange(*(array_of(one).item() for one in call.args[1:3])) for call in found]
    signal, noise = np.zeros(len(found)), np.zeros(len(found))
    for arrays in Observer(floats, [call.args[0] for call in found]).run(rows):
        for place, (array, levels) in enumerate(zip(arrays, ranges, strict=True)):
            array = meant(array, levels)
            gap = levels.through(array).astype(np.float64) - array
            signal[place] += float(np.square(array, dtype=np.float64).sum())
            noise[place] += float(np.square(gap).sum())
    ratios = [decibels(*pair) for pair in zip(signal, noise, strict=True)]
    worst = min(range(len(found)), key=ratios.__getitem__)
    shape = list(static_shape(found[worst].args[0]) or ())
    return (
        f"quantized tensor {worst + 1} of {len(found)}, {shape} by scale {ranges[worst].scale:.3g} "
        f"({ratios[worst]:.1f} dB)"
    )


def meant(array: Array, levels: LevelRange) -> Array:
    """Return what levels are to hold of an array: quantizers leave relu and relu6 to the ends of the range."""
    if levels.zero:
        return array
    top = levels.scale * LEVELS
    return np.clip(array, 0, RELU6 if abs(top - RELU6) < RELU6 / LEVELS else None)


def _has_levels(call: Any) -> bool:
    """Return whether a call quantizes a computed tensor to uint8, by one constant scale and zero."""
    one = all(is_constant(arg) and array_of(arg).size == 1 for arg in call.args[1:3])
    return one and not is_constant(call.args[0]) and str(call.attrs.out_dtype) == "uint8"
