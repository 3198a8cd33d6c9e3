"""How much noise each quantized layer brings into a network's answers: measured, one layer after the other.

    network = SwitchedNetwork(floats, points, calibration, output=0)
    found = measure_noise(network, rows)
    found.layers[3]                      # of layer 3 alone: the mean square error of the answers, a score's
    found.disagreement({3, 7})           # the share of answers that change when all layers but these are quantized

One module computes every layer both in floats and in whole numbers, and goes on with the one or the other as a switch
says, so that it is compiled once. Noises of different layers do not depend on each other, so they add up. How often
noise turns an answer follows from how far its two best classes are apart: errors of scores are normal, nearly. Few
pictures say little of how many more have two classes that are level, so what was seen is smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import IRModule, relax

from ovenbird.process.progress import Progress
from ovenbird.quantize.auto.times import LayerTime
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.points import Points
from ovenbird.quantize.rewriting import Calibration, Quantizing
from ovenbird_runtime.tensors.arrays import Array

MEASURED = 4
"""Pictures that each layer alone is measured on: each gives as many errors as there are classes."""
FOLLOWERS = 5
"""Classes behind the best one whose distance from it is looked at."""
LEAST_SMOOTHED = 16
"""Fewer distances than this are taken as they are."""
BFLOAT16_DB = 53.3
"""Signal to noise of a product of numbers that are spread over their powers of two and rounded to 8 bits: an error of
2**-7 / sqrt(12) for a mean square of 3 / (2 ln 2), 56.3 dB, for each of the two.
"""


@dataclass(frozen=True)
class NoiseShares:
    """What was measured, in the order of `Points.layers`."""

    layers: tuple[float, ...]
    signal: float
    """The scores' mean square about their mean, row by row."""
    margins: tuple[float, ...]
    """How far the two best scores of each picture are apart."""
    factor: float = 1.0
    """By how much the noise of those distances, with all layers quantized, is more than the layers' noises say."""
    rounded: tuple[float, ...] = ()
    """Of each layer alone, where it multiplies bfloat16; 0 where none does; empty: no layer does."""

    def rounding(self, floats: Collection[int], exact: Collection[int] = ()) -> float:
        """Return the noise of layers in floats, but for those that multiply float32."""
        return sum(one for place, one in enumerate(self.rounded) if place in floats and place not in exact)

    def disagreement(self, floats: Collection[int], exact: Collection[int] = ()) -> float:
        """Return the share of answers that are expected to change with these layers in floats; `exact`: those of them
        that multiply float32 where others multiply bfloat16.
        """
        noise = sum(one for place, one in enumerate(self.layers) if place not in floats) + self.rounding(floats, exact)
        if not noise:
            return 0.0
        spread = math.sqrt(2 * noise * self.factor)  # of the difference of two scores
        width = self._width()
        if not width:
            return sum(turning(margin, spread) for margin in self.margins) / len(self.margins)
        margins, (places, step) = np.array(self.margins), np.linspace(0, 6 * spread, 401, retstep=True)
        near = [np.exp(-np.square((places[:, None] + sign * margins) / width) / 2) for sign in (1, -1)]
        density = (near[0] + near[1]).mean(axis=1) / (width * math.sqrt(2 * math.pi))
        shares = density * [turning(place, spread) for place in places]
        return float((shares[:-1] + shares[1:]).sum() * step / 2)

    def _width(self) -> float:
        """Return how wide each margin is smoothed, by Silverman's rule; 0 for few of them."""
        if len(self.margins) < LEAST_SMOOTHED:
            return 0.0
        first, third = np.quantile(self.margins, (0.25, 0.75))
        return float(0.9 * min(np.std(self.margins), (third - first) / 1.349) * len(self.margins) ** -0.2)


def turning(margin: float, spread: float) -> float:
    """Return how probable it is that normal noise of so much exceeds a margin."""
    return math.erfc(margin / spread / math.sqrt(2)) / 2


class SwitchedNetwork:
    """A network of which each layer is computed in floats or in whole numbers, as is asked for with each call."""

    def __init__(self, module: IRModule, points: Points, calibration: Calibration, output: int) -> None:
        """Compile it; `output`: which of the network's results holds the scores. Raises BuildFailed."""
        self.units = len(points.layers)
        self.output = output
        self.observer = Observer(_Switched(module, points, calibration).run(), [], outputs=True)

    def scores(self, row: Sequence[Array], whole: Collection[int]) -> Array:
        """Return the scores [rows, classes] about their mean, with these layers in whole numbers."""
        switches = np.array([float(unit in whole) for unit in range(self.units)], np.float32)
        (found,) = self.observer.run([[*row, switches]])
        raw = found[self.output].reshape(-1, found[self.output].shape[-1]).astype(np.float64)
        centred: Array = raw - raw.mean(axis=-1, keepdims=True)
        return centred


def measure_noise(
    network: SwitchedNetwork, rows: Sequence[Sequence[Array]], step: Progress | None = None
) -> NoiseShares:
    """Measure each layer on some of the rows, and all of them together on all rows."""
    units = network.units
    right = [network.scores(row, ()) for row in rows]
    some = sorted({round(at) for at in np.linspace(0, len(rows) - 1, min(MEASURED, len(rows)))})
    found = []
    for unit in range(units):
        errors = [network.scores(rows[at], (unit,)) - right[at] for at in some]
        found.append(float(np.mean([np.square(error).mean() for error in errors])))
        if step is not None:
            step("measuring layers", unit + 1, units)
    signal = float(np.mean([np.square(one).mean() for one in right]))
    exact, whole = (np.concatenate(one) for one in (right, [network.scores(row, range(units)) for row in rows]))
    ranks = np.argsort(-exact, axis=-1, kind="stable")[:, : FOLLOWERS + 1]
    best, others = (np.take_along_axis(exact, ranks, 1), np.take_along_axis(whole, ranks, 1))
    gaps = best[:, :1] - best[:, 1:]
    errors_of_gaps = (others[:, :1] - others[:, 1:]) - gaps
    predicted = 2 * sum(found)
    factor = float(np.square(errors_of_gaps).mean() / predicted) if predicted else 1.0
    return NoiseShares(tuple(found), signal, tuple(gaps[:, 0].tolist()), factor)


def rounded_noises(shares: NoiseShares, times: Sequence[LayerTime]) -> tuple[float, ...]:
    """Return what each layer would bring into the answers by multiplying bfloat16: as large a share of their signal as
    of its own results'. EfficientNet-lite0's 34 such layers, and sums next to them, gave 36.2 dB; that is 38.0.
    """
    noise = shares.signal * 10 ** (-BFLOAT16_DB / 10)
    return tuple(0.0 if time.halves is None else noise for time in times)


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
