"""How much noise each quantized layer brings into a network's answers: measured, one layer after the other.

    found = measure_noise(floats, points, calibration, rows, output=0)
    found.layers[3]                      # of layer 3 alone: the mean square error of the answers, a score's
    found.disagreement({3, 7})           # the share of answers that change when all layers but these are quantized

One module computes every layer both in floats and in whole numbers, and goes on with the one or the other as a switch
says, so that it is compiled once. Noises of different layers do not depend on each other, so they add up. How often
noise turns an answer follows from how far its two best classes are apart: errors of scores are normal, nearly.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import IRModule, relax

from ovenbird.progress import Progress
from ovenbird.quantize.observing import Observer
from ovenbird.quantize.points import Points
from ovenbird.quantize.rewriting import Calibration, Quantizing
from ovenbird_runtime.tensors.arrays import Array

MEASURED = 4
"""Pictures that each layer alone is measured on: each gives as many errors as there are classes."""


@dataclass(frozen=True)
class NoiseShares:
    """What was measured, in the order of `Points.layers`."""

    layers: tuple[float, ...]
    signal: float
    """The scores' mean square about their mean, row by row."""
    margins: tuple[float, ...]
    """How far the two best scores of each picture are apart."""

    def disagreement(self, floats: Collection[int]) -> float:
        """Return the share of answers that are expected to change with these layers in floats."""
        noise = sum(one for place, one in enumerate(self.layers) if place not in floats)
        if not noise:
            return 0.0
        spread = math.sqrt(2 * noise)  # of the difference of two scores
        return sum(math.erfc(margin / spread / math.sqrt(2)) / 2 for margin in self.margins) / len(self.margins)


def measure_noise(
    module: IRModule,
    points: Points,
    calibration: Calibration,
    rows: Sequence[Sequence[Array]],
    output: int,
    step: Progress | None = None,
) -> NoiseShares:
    """Measure on some of the rows; `output`: which of the network's results holds the scores. Raises BuildFailed."""
    units = len(points.layers)
    switched = _Switched(module, points, calibration)
    observer = Observer(switched.run(), [], outputs=True)

    def scores(row: Sequence[Array], on: Collection[int]) -> Array:
        switches = np.array([float(unit in on) for unit in range(units)], np.float32)
        (found,) = observer.run([[*row, switches]])
        raw = found[output].reshape(-1, found[output].shape[-1]).astype(np.float64)
        centred: Array = raw - raw.mean(axis=-1, keepdims=True)
        return centred

    right = [scores(row, ()) for row in rows]
    best = [np.sort(one, axis=-1) for one in right]
    some = sorted({round(at) for at in np.linspace(0, len(rows) - 1, min(MEASURED, len(rows)))})
    found = []
    for unit in range(units):
        errors = [scores(rows[at], (unit,)) - right[at] for at in some]
        found.append(float(np.mean([np.square(error).mean() for error in errors])))
        if step is not None:
            step("measuring layers", unit + 1, units)
    signal = float(np.mean([np.square(one).mean() for one in right]))
    margins = tuple(float(margin) for one in best for margin in one[:, -1] - one[:, -2])
    return NoiseShares(tuple(found), signal, margins)


class _Switched(Quantizing):
    """Both ways of every layer. A last parameter, float32 [layers], says which: 1 for whole numbers."""

    def __init__(self, module: IRModule, points: Points, calibration: Calibration) -> None:
        super().__init__(module, points, calibration)
        self.switches = relax.Var("switches", relax.TensorType((len(points.layers),), "float32"))
        self.added.append(self.switches)
        self.units = {var: place for place, var in enumerate(points.layers)}
        reading = points.layers_of_roots()
        for (var, _), source in points.uses.items():
            if var not in self.units:
                self.units[var] = self.units[reading[points.root_of[source]][0]]
        for layer in points.layers:
            for reader, _ in points.graph.readers.get(layer, []):
                if self._adds_bias(reader):  # with the layer's mean error
                    self.units.setdefault(reader, self.units[layer])

    def rewrite(self, var: relax.Var, value: relax.Expr) -> relax.Expr:
        whole = super().rewrite(var, value)
        unit = self.units.get(var)
        if unit is None:
            return whole
        exact = self.emit(self.substituted(value))
        switch = self.emit(relax.op.strided_slice(self.switches, axes=[0], begin=[unit], end=[unit + 1]))
        gap = self.emit(relax.op.subtract(self.emit(whole), exact))
        return relax.op.add(exact, self.emit(relax.op.multiply(gap, switch)))
