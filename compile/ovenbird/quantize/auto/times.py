"""How long each layer takes in floats and in whole numbers, estimated from what it multiplies and moves.

    times = layer_times(points, narrow=True)
    times[3].saved                       # in multiply-adds of float32; below 0 where floats are faster

Nothing is timed, so two compiles choose alike. Where there is no VNNI, prices of floats were fitted to the 50 layers of
EfficientNet-lite0 in their network, those of whole numbers to 24 of its convolutions by themselves (12 depthwise, 12 of
1x1; one thread of a Zen 3, processor time), which they give within 19 %; where there is, both to its layers in their
network (one thread of a Zen 5, least of three profiles), which they give within 14 % on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm import relax

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.points import CONVOLUTIONS, Points


@dataclass(frozen=True)
class LayerCosts:
    """In multiply-adds of float32: a product, a weight, an operand's value, a result."""

    product: float
    weight: float
    operand: float
    result: float

    def time(self, layer: LayerWork) -> float:
        """Return the time of a layer."""
        moved = self.weight * layer.weight + self.operand * layer.operand + self.result * layer.result
        return self.product * layer.result * layer.row + moved


@dataclass(frozen=True)
class Prices:
    """What layers cost in one arithmetic: dense ones and those of products, and depthwise ones."""

    dense: LayerCosts
    depthwise: LayerCosts

    def time(self, layer: LayerWork) -> float:
        """Return the time of a layer."""
        return (self.depthwise if layer.depthwise else self.dense).time(layer)


NARROW_FLOATS = Prices(LayerCosts(1, 8.8, 4.8, 4.8), LayerCosts(1, 8.8, 4.8, 4.8))
NARROW = Prices(LayerCosts(0.51, 4.2, 1.9, 5.8), LayerCosts(0.91, 4.2, 1.9, 5.8))
"""Where there is no VNNI; pairs of products in 16 bits."""
VNNI_FLOATS = Prices(LayerCosts(0.94, 11.4, 4.5, 6.1), LayerCosts(1.24, 0, 13.4, 3.4))
VNNI = Prices(LayerCosts(0.26, 1.7, 0.5, 5.8), LayerCosts(1.55, 0, 2.8, 0.4))
BFLOAT16 = LayerCosts(0.5, 5.0, 6.0, 6.0)
"""Of dense layers; depthwise ones stay float32."""


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
    (exact, whole), found = (NARROW_FLOATS, NARROW) if narrow else (VNNI_FLOATS, VNNI), []
    for layer in (_layer(points, var) for var in points.layers):
        floats = exact.time(layer)
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
