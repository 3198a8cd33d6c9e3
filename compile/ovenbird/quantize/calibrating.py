"""From a network of floats to one that is computed in whole numbers of eight bits, for each batch and image size.

    quantizer = Quantizer.calibrated(module, pictures, "mse")
    quantizer.try_quantize(module), quantizer.try_quantize(module_of_eight_rows)

A module's graph is the same for every batch size, so the ranges are found once, on one row at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import IRModule, relax

from ovenbird.lowering.pipeline import prepare
from ovenbird.options import RangeMethod
from ovenbird.passes.quantized.absorb_padding import absorb_padding
from ovenbird.passes.share_constants import array_of
from ovenbird.process.progress import Progress
from ovenbird.quantize.auto.mixing import HeldAnswers, Mixture, choose_mixture
from ovenbird.quantize.auto.sensitivity import SwitchedNetwork, measure_noise, rounded_noises
from ovenbird.quantize.auto.times import layer_times
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.calibration.ranges import Seen, choose_range
from ovenbird.quantize.distilling import distil
from ovenbird.quantize.fold_norms import fold_norms
from ovenbird.quantize.noise import LayerNoise, decibels, layer_noise
from ovenbird.quantize.points import CONVOLUTIONS, Points, choose_points
from ovenbird.quantize.rewriting import Calibration, quantized_module
from ovenbird.quantize.rounding.joint_rounding import round_jointly
from ovenbird.quantize.rounding.patches import Patches
from ovenbird.quantize.rounding.weights import WeightLevels, quantize_weight, rows_of, weight_of
from ovenbird_runtime.tensors.arrays import Array


@dataclass(frozen=True)
class Mixed:
    """What `--precision auto` holds to: the share of answers that may change, by the result at place `output`.

    `held`: inputs that calibration does not see, whose answers are counted as well. `some_bfloat16`: layers that stay
    floats may multiply bfloat16.
    """

    most: float
    output: int
    held: Sequence[Sequence[Array]] = ()
    some_bfloat16: bool = False


@dataclass(frozen=True)
class Quantizer:
    """What calibration found, for modules of one signature (`Points.signature`)."""

    signature: str
    calibration: Calibration
    layers: tuple[LayerNoise, ...] = ()
    distilled: int = 0
    """How many tensors' ranges heed what a batch norm remembers."""
    mixture: Mixture | None = None
    """Which layers stay floats; None: none."""

    @staticmethod
    def calibrated(
        module: IRModule,
        rows: Sequence[Sequence[Array]],
        method: RangeMethod = "mse",
        step: Progress | None = None,
        distilled: bool = False,
        mixed: Mixed | None = None,
        narrow: bool = False,
    ) -> Quantizer:
        """Run a module of one row on the rows, and choose every range; `distilled`: also by what batch norms remember.

        `mixed`: leave layers in floats. `narrow`: hold pairs of weights (`rounding/weights.py`). Raises BuildFailed.
        """
        floats, norms = fold_norms(absorb_padding(prepare(module)))
        points = choose_points(floats)
        seen = [Seen() for _ in points.roots]
        patches = {var: Patches(points.graph.definitions[var], len(rows)) for var in points.layers}
        read = [points.uses[(var, 0)] for var in points.layers]
        for done, arrays in enumerate(Observer(floats, [*points.roots, *read]).run(rows)):
            for one, array in zip(seen, arrays[: len(seen)], strict=True):
                one.add(array)
            for layer, array in zip(patches.values(), arrays[len(seen) :], strict=True):
                layer.add(array)
            if step is not None:
                step("calibrating", done + 1, len(rows))
        distillates = 0
        for root, one in zip(points.roots, seen, strict=True) if distilled else ():
            drawn = distil(points.graph, norms, root)
            if drawn is not None:
                one.add_samples(drawn)
                distillates += 1
        ranges = tuple(choose_range(one, method) for one in seen)
        weights = _rounded(points, patches, narrow, step)
        found, chosen = (dict(zip(points.roots, seen, strict=True)), dict(zip(points.roots, ranges, strict=True)))
        noise = layer_noise(points, found, chosen, weights)
        calibration = Calibration(ranges, tuple(one.means for one in seen), tuple(weights.values()))
        mixture = None
        if mixed is not None and points.layers:
            switched = SwitchedNetwork(floats, points, calibration, mixed.output)
            shares = measure_noise(switched, rows, step)
            held = HeldAnswers(switched, mixed.held) if mixed.held else None
            times = layer_times(points, narrow, mixed.some_bfloat16)
            if mixed.some_bfloat16:
                shares = replace(shares, rounded=rounded_noises(shares, times))
            mixture = choose_mixture(times, shares, mixed.most, held)
        return Quantizer(points.signature, calibration, noise, distillates, mixture)

    def try_quantize(self, module: IRModule) -> IRModule | None:
        """Return a module of the same network in whole numbers; None where its graph is another."""
        floats = folded(module)
        points = choose_points(floats)
        if points.signature != self.signature:
            return None
        mixture = self.mixture
        chosen = points if mixture is None else points.without(mixture.floats, mixture.floats - mixture.exact)
        return quantized_module(floats, chosen, self.calibration)

    @property
    def noisiest(self) -> str:
        """The quantized layer that adds the most noise, to the answers where that was measured; "" where none is."""
        ratios = [layer.total_db for layer in self.layers]
        if self.mixture is not None:
            shares = self.mixture.shares
            ratios = [decibels(shares.signal, noise) for noise in shares.layers]
        floats = frozenset[int]() if self.mixture is None else self.mixture.floats
        whole = [place for place in range(len(ratios)) if place not in floats]
        if not whole:
            return ""
        worst = min(whole, key=ratios.__getitem__)
        return f"{self.layers[worst].name} ({ratios[worst]:.1f} dB)"

    def documents(self) -> list[dict[str, Any]]:
        """Return what is known of each layer, as JSON values."""
        mixture = self.mixture.rows() if self.mixture is not None else [{} for _ in self.layers]
        return [{**layer.document(), **row} for layer, row in zip(self.layers, mixture, strict=True)]


def _rounded(
    points: Points, patches: dict[relax.Var, Patches], narrow: bool, step: Progress | None
) -> dict[relax.Var, WeightLevels]:
    """Return the weights by layer: rounded together, or to the nearest levels where those are better."""
    found: dict[relax.Var, WeightLevels] = {}
    for done, var in enumerate(points.layers):
        call: Any = points.graph.definitions[var]
        rows, weight = patches.pop(var).rows(), array_of(call.args[1])
        convolves = call.op.name in CONVOLUTIONS
        axis, groups = (0, int(call.attrs.groups)) if convolves else (weight.ndim - 1, 1)
        nearest = quantize_weight(weight, axis, narrow)
        found[var] = nearest
        if rows is not None:
            window = math.prod(weight.shape[2:]) if convolves else 1
            scale = nearest.scale.reshape(groups, -1)
            levels = round_jointly(rows_of(weight, axis, groups), scale, rows, window if narrow else None)
            if levels is not None:
                found[var] = nearest._replace(levels=weight_of(levels, axis, weight.shape))
        if step is not None:
            step("rounding weights", done + 1, len(points.layers))
    return found


def folded(module: IRModule) -> IRModule:
    """Return an imported module ready to be quantized."""
    return fold_norms(absorb_padding(prepare(module)))[0]
