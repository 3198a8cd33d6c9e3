"""From a network of floats to one that is computed in whole numbers of eight bits, for each batch and image size.

    quantizer = Quantizer.calibrated(module, pictures, "mse")
    quantizer.try_quantize(module), quantizer.try_quantize(module_of_eight_rows)

A module's graph is the same for every batch size, so the ranges are found once, on one row at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import IRModule, relax

from ovenbird.lowering.pipeline import prepare
from ovenbird.options import RangeMethod
from ovenbird.passes.quantized.absorb_padding import absorb_padding
from ovenbird.process.progress import Progress
from ovenbird.quantize.auto.mixing import HeldAnswers, Mixture, choose_mixture
from ovenbird.quantize.auto.sensitivity import SwitchedNetwork, measure_noise, rounded_noises
from ovenbird.quantize.auto.times import layer_times
from ovenbird.quantize.calibration.ranges import choose_range
from ovenbird.quantize.calibration.watching import WatchedNetwork
from ovenbird.quantize.distilling import distil
from ovenbird.quantize.fold_norms import fold_norms
from ovenbird.quantize.noise import LayerNoise, decibels, layer_noise
from ovenbird.quantize.points import choose_points
from ovenbird.quantize.rewriting import Calibration, quantized_module
from ovenbird.quantize.rounding.together import rounded_weights
from ovenbird.quantize.rounding.weights import WeightLevels
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
        watch = WatchedNetwork(module, len(rows))
        for done, row in enumerate(rows):
            watch.run(row)
            if step is not None:
                step("calibrating", done + 1, len(rows))
        watch.close()
        (weights,) = rounded_weights([(watch.points, watch.patches)], narrow, step)
        found = Quantizer.of(watch, weights, method, distilled)
        points = watch.points
        if mixed is None or not points.layers:
            return found
        switched = SwitchedNetwork(watch.floats, points, found.calibration, mixed.output)
        shares = measure_noise(switched, rows, step)
        held = HeldAnswers(switched, mixed.held) if mixed.held else None
        times = layer_times(points, narrow, mixed.some_bfloat16)
        if mixed.some_bfloat16:
            shares = replace(shares, rounded=rounded_noises(shares, times))
        return replace(found, mixture=choose_mixture(times, shares, mixed.most, held))

    @staticmethod
    def of(
        watch: WatchedNetwork, weights: Mapping[relax.Var, WeightLevels], method: RangeMethod, distilled: bool = False
    ) -> Quantizer:
        """Choose every range by what was seen; `weights`: those of its layers, `distilled` as of `calibrated`."""
        points, distillates = watch.points, 0
        for root, one in zip(points.roots, watch.seen, strict=True) if distilled else ():
            drawn = distil(points.graph, watch.norms, root)
            if drawn is not None:
                one.add_samples(drawn)
                distillates += 1
        ranges = tuple(choose_range(one, method) for one in watch.seen)
        found, chosen = (dict(zip(points.roots, each, strict=True)) for each in (watch.seen, ranges))
        noise = layer_noise(points, found, chosen, weights)
        means = tuple(one.means for one in watch.seen)
        return Quantizer(points.signature, Calibration(ranges, means, tuple(weights.values())), noise, distillates)

    def try_quantize(self, module: IRModule, rounded: bool | None = None) -> IRModule | None:
        """Return a module of the same network in whole numbers; None where its graph is another. `rounded`: in floats
        after all, whether of bfloat16 or not.
        """
        floats = folded(module)
        points = choose_points(floats)
        if points.signature != self.signature:
            return None
        mixture, every = self.mixture, range(len(points.layers))
        if rounded is not None:
            chosen = points.without(every, every if rounded else ())
        elif mixture is not None:
            chosen = points.without(mixture.floats, mixture.floats - mixture.exact)
        else:
            chosen = points
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


def folded(module: IRModule) -> IRModule:
    """Return an imported module ready to be quantized."""
    return fold_norms(absorb_padding(prepare(module)))[0]
