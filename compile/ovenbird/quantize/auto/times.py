"""How long each layer takes in floats and in whole numbers, estimated from what it multiplies and moves.

    times = layer_times(points, narrow=True)
    times[3].saved                       # in multiply-adds of float32; below 0 where floats are faster

Nothing is timed, so two compiles choose alike. Those of floats, and of weights, were fitted to the 50 layers of
EfficientNet-lite0 in their network, those of whole numbers without VNNI to 24 of its convolutions by themselves (12
depthwise, 12 of 1x1; one thread of a Zen 3, processor time), which they give within 19 %; those with VNNI, and of
bfloat16, to its layers in their network (one thread of a Zen 5, least of three profiles), within 14 % on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm import relax

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.points import CONVOLUTIONS, Points

WEIGHT_BYTE, IMAGE_BYTE = 2.2, 1.2
"""Multiply-adds of float32 that take as long as a byte of weights, from memory, or of images, from caches."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerCosts:
    """In multiply-adds of float32: a product, one of a depthwise layer, and a weight, an operand's value, a result."""

    product: float
    depthwise: float
    weight: float
    operand: float
    result: float

    def time(self, layer: LayerWork) -> float:
        """Return the time of a layer."""
        product = self.depthwise if layer.depthwise else self.product
        moved = self.weight * layer.weight + self.operand * layer.operand + self.result * layer.result
        return product * layer.result * layer.row + moved


FLOATS = LayerCosts(1, 1, FLOAT_BYTES * WEIGHT_BYTE, FLOAT_BYTES * IMAGE_BYTE, FLOAT_BYTES * IMAGE_BYTE)
NARROW = LayerCosts(0.51, 0.91, 4.2, 1.9, 5.8)
"""Whole numbers without VNNI, pairs of products in 16 bits."""
VNNI = LayerCosts(0.26, 1.3, 1.7, 1.8, 4.2)
BFLOAT16 = LayerCosts(0.5, math.inf, 5.0, 8.0, 6.0)
"""Depthwise layers stay float32."""


@dataclass(frozen=True)
class LayerWork:
    """What a layer has of each: values of its operand, weights, results, and products of one result."""

    operand: int
    weight: int
    result: int
    row: int
    depthwise: bool


@dataclass(frozen=True)
class LayerTime:
    """In multiply-adds of float32."""

    floats: float
    whole: float
    halves: float | None = None
    """In bfloat16; None where that is not multiplied, or saves nothing."""

    @property
    def left(self) -> float:
        """The time of a layer that is not in whole numbers."""
        return self.floats if self.halves is None else self.halves

    @property
    def saved(self) -> float:
        """What whole numbers save of that; below 0 where they take longer."""
        return self.left - self.whole


def layer_times(points: Points, narrow: bool, some_bfloat16: bool = False) -> tuple[LayerTime, ...]:
    """Return the times of each layer; `narrow`: on a processor without VNNI; `some_bfloat16`: which multiplies bfloat16
    for layers that are not in whole numbers.
    """
    whole, found = NARROW if narrow else VNNI, []
    for layer in (_layer(points, var) for var in points.layers):
        floats = FLOATS.time(layer)
        halves = BFLOAT16.time(layer) if some_bfloat16 and not layer.depthwise else math.inf
        found.append(LayerTime(floats, whole.time(layer), halves if halves < floats else None))
    return tuple(found)


def _layer(points: Points, var: relax.Var) -> LayerWork:
    call: Any = points.graph.definitions[var]
    shapes = [static_shape(one) or (1,) for one in (*call.args[:2], var)]
    operand, weight, result = (math.prod(shape) for shape in shapes)
    convolves = points.graph.name(var) in CONVOLUTIONS
    row = math.prod(shapes[1][1:]) if convolves else shapes[1][0]
    depthwise = convolves and shapes[1][1] == 1 and int(call.attrs.groups) > 1
    return LayerWork(operand, weight, result, row, depthwise)
