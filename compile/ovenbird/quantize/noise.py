"""How much noise each layer of a quantized network adds of its own: what to look at where answers disagree.

    layers = layer_noise(points, seen, ranges, weights)
    min(layers, key=lambda layer: layer.total_db).name       # "conv2d 3 of 54, [1, 64, 56, 56] by [64, 64, 3, 3]"

The ratio of a signal to what quantizing it changes, in dB, of a layer's operand (on calibration's samples) and of its
weights; both change the layer's results, as noises that do not depend on each other, which add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.passes.shapes import static_shape
from ovenbird.passes.share_constants import array_of
from ovenbird.quantize.calibration.ranges import LevelRange, Seen
from ovenbird.quantize.graph import is_constant
from ovenbird.quantize.points import CONVOLUTIONS, Points
from ovenbird.quantize.rounding.weights import WeightLevels, weight_error
from ovenbird_runtime.tensors.arrays import Array

MOST_DB = 200.0
"""What stands for no noise at all."""


@dataclass(frozen=True)
class LayerNoise:
    """Ratios of signal to noise, in dB. `weight_db`: None where a layer has no weights of its own."""

    name: str
    operand_db: float
    weight_db: float | None

    @property
    def total_db(self) -> float:
        """Of both noises together."""
        shares = [10 ** (-db / 10) for db in (self.operand_db, self.weight_db) if db is not None]
        return decibels(1.0, sum(shares))

    def document(self) -> dict[str, Any]:
        """Return it as JSON values, rounded to a tenth of a dB."""
        weight = None if self.weight_db is None else round(self.weight_db, 1)
        return {"layer": self.name, "operand_db": round(self.operand_db, 1), "weight_db": weight}


def layer_noise(
    points: Points,
    seen: Mapping[relax.Var, Seen],
    ranges: Mapping[relax.Var, LevelRange],
    weights: Mapping[relax.Var, WeightLevels],
) -> tuple[LayerNoise, ...]:
    """Return the noise of each layer, in order; `seen` and `ranges` are those of `points.roots`, `weights` of its
    layers.
    """
    operands = {root: _operand_db(seen[root], ranges[root]) for root in points.roots}
    found = []
    for place, var in enumerate(points.layers):
        call: Any = points.graph.definitions[var]
        read = [points.uses[(var, index)] for index in (0, 1) if (var, index) in points.uses]
        operand = min((operands[points.root_of[source]] for source in read), default=MOST_DB)
        weight = _weight_db(call, weights[var]) if is_constant(call.args[1]) else None
        shapes = " by ".join(str(list(static_shape(one) or ())) for one in call.args[:2])
        operator = call.op.name.removeprefix("relax.").removeprefix("nn.")
        found.append(LayerNoise(f"{operator} {place + 1} of {len(points.layers)}, {shapes}", operand, weight))
    return tuple(found)


def _operand_db(seen: Seen, chosen: LevelRange) -> float:
    values = seen.values.astype(np.float64)
    return decibels(_power(values), _power(chosen.through(seen.values).astype(np.float64) - values))


def _weight_db(call: Any, chosen: WeightLevels) -> float:
    weight = array_of(call.args[1])
    axis = 0 if call.op.name in CONVOLUTIONS else weight.ndim - 1
    return decibels(_power(weight.astype(np.float64)), _power(weight_error(weight, *chosen, axis)))


def _power(values: Array) -> float:
    return float(np.vdot(values, values))


def decibels(signal: float, noise: float) -> float:
    """Return a ratio of powers in dB."""
    return min(10 * math.log10(signal / noise), MOST_DB) if signal and noise else MOST_DB
