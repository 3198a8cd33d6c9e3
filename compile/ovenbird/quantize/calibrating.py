"""From a network of floats to one that is computed in whole numbers of eight bits, for each batch and image size.

    quantizer = Quantizer.calibrated(module, pictures, "mse")
    quantizer.try_quantize(module), quantizer.try_quantize(module_of_eight_rows)

A module's graph is the same for every batch size, so the ranges are found once, on one row at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import IRModule

from ovenbird.lowering.pipeline import prepare
from ovenbird.options import RangeMethod
from ovenbird.progress import Progress
from ovenbird.quantize.distilling import distil
from ovenbird.quantize.fold_norms import fold_norms
from ovenbird.quantize.noise import LayerNoise, layer_noise
from ovenbird.quantize.observing import Observer
from ovenbird.quantize.points import choose_points
from ovenbird.quantize.ranges import Seen, choose_range
from ovenbird.quantize.rewriting import Calibration, quantized_module
from ovenbird_runtime.tensors.arrays import Array


@dataclass(frozen=True)
class Quantizer:
    """What calibration found, for modules of one signature (`Points.signature`)."""

    signature: str
    calibration: Calibration
    layers: tuple[LayerNoise, ...] = ()
    distilled: int = 0
    """How many tensors' ranges heed what a batch norm remembers."""

    @staticmethod
    def calibrated(
        module: IRModule,
        rows: Sequence[Sequence[Array]],
        method: RangeMethod = "max",
        step: Progress | None = None,
        distilled: bool = False,
    ) -> Quantizer:
        """Run a module of one row on the rows, and choose every range; `distilled`: also by what batch norms remember.

        Raises BuildFailed.
        """
        floats, norms = fold_norms(prepare(module))
        points = choose_points(floats)
        seen = [Seen() for _ in points.roots]
        for done, arrays in enumerate(Observer(floats, points.roots).run(rows)):
            for one, array in zip(seen, arrays, strict=True):
                one.add(array)
            if step is not None:
                step("calibrating", done + 1, len(rows))
        distillates = 0
        for root, one in zip(points.roots, seen, strict=True) if distilled else ():
            drawn = distil(points.graph, norms, root)
            if drawn is not None:
                one.add_samples(drawn)
                distillates += 1
        ranges = tuple(choose_range(one, method) for one in seen)
        pairs = [dict(zip(points.roots, each, strict=True)) for each in (seen, ranges)]
        noise = layer_noise(points, *pairs)
        return Quantizer(points.signature, Calibration(ranges, tuple(one.means for one in seen)), noise, distillates)

    def try_quantize(self, module: IRModule) -> IRModule | None:
        """Return a module of the same network in whole numbers; None where its graph is another."""
        floats = folded(module)
        points = choose_points(floats)
        return quantized_module(floats, points, self.calibration) if points.signature == self.signature else None


def folded(module: IRModule) -> IRModule:
    """Return an imported module ready to be quantized."""
    return fold_norms(prepare(module))[0]
