"""How long each layer takes in floats and in whole numbers, estimated from what it multiplies and moves.

    times = layer_times(points, narrow=True)
    times[3].saved                       # in multiply-adds of float32; below 0 where floats are faster

Nothing is timed, so two compiles choose alike. Those of floats, and of weights, were fitted to the 50 layers of
EfficientNet-lite0 in their network, those of whole numbers without VNNI to 24 of its convolutions by themselves (12
depthwise, 12 of 1x1; one thread of a Zen 3, processor time), which they give within 19 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.points import CONVOLUTIONS, Points

WEIGHT_BYTE, IMAGE_BYTE = 2.2, 1.2
"""Multiply-adds of float32 that take as long as a byte of weights, from memory, or of images, from caches."""
FLOAT_BYTES = 4
VNNI_FACTOR = 4
"""By peaks: four products an instruction for one, and a quarter of the bytes."""


@dataclass(frozen=True)
class WholeCosts:
    """In multiply-adds of float32: a product, one of a depthwise layer, and a weight, an operand's value, a result."""

    product: float
    depthwise: float
    weight: float
    operand: float
    result: float


NARROW = WholeCosts(0.51, 0.91, 4.2, 1.9, 5.8)
"""Without VNNI, pairs of products in 16 bits."""


@dataclass(frozen=True)
class LayerTime:
    """In multiply-adds of float32."""

    floats: float
    whole: float

    @property
    def saved(self) -> float:
        """What whole numbers save; below 0 where they take longer."""
        return self.floats - self.whole


def layer_times(points: Points, narrow: bool) -> tuple[LayerTime, ...]:
    """Return the times of each layer; `narrow`: on a processor without VNNI."""
    found = []
    for var in points.layers:
        call: Any = points.graph.definitions[var]
        shapes = [static_shape(one) or (1,) for one in (*call.args[:2], var)]
        operand, weight, result = (math.prod(shape) for shape in shapes)
        convolves = points.graph.name(var) in CONVOLUTIONS
        row = math.prod(shapes[1][1:]) if convolves else shapes[1][0]
        depthwise = convolves and shapes[1][1] == 1 and int(call.attrs.groups) > 1
        floats = result * row + FLOAT_BYTES * (WEIGHT_BYTE * weight + IMAGE_BYTE * (operand + result))
        whole = floats / VNNI_FACTOR
        if narrow:
            product = NARROW.depthwise if depthwise else NARROW.product
            whole = product * result * row + NARROW.weight * weight + NARROW.operand * operand + NARROW.result * result
        found.append(LayerTime(floats, whole))
    return tuple(found)
